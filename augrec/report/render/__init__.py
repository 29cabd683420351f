"""How a page looks: wording, figures, style."""
