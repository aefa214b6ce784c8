"""Networks that come as programs, TorchScript or exported by `torch.export`: made into modules with names and kinds."""
