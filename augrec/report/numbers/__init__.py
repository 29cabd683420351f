"""What numbers say: statistics, trained variants, and their comparison."""
