"""What alerts say, in five languages: one catalogue each."""
