"""One run: what is asked, in which order it is driven, what is collected, and how it ends."""
