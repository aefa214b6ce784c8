"""The pictures of the built-in image set: crops of photographs, and drawn stimuli."""
