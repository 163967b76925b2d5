"""The worker's own side: receipts, and what they allow."""
