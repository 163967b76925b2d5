"""Mail: what a person wrote in them, without what programs put around it. Nothing is ever fetched."""
