"""A recommender's lists and ratings, put together with somebody else's judgement of them."""
