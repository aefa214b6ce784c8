"""What a model gives: its outputs by name, and which of them are the scores of classes."""
