"""The past gone through again, and what other rules would have made of it."""
