"""One pass of an image set through a model, and the statistics that it leaves in an index."""
