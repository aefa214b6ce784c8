"""All that a page may ask: it reads the index, submits jobs and watches them. Neither torch nor Dash."""
