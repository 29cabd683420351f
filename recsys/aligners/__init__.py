"""What ties the embeddings of a graph model to something else, such as texts: between its first layer and its last."""
