"""What one read of a layer's values tells of every map: a module for each way to compute it, all with equal results."""
