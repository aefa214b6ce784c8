"""Reading files of weights: what is in them, and where in it the weights of a network are."""
