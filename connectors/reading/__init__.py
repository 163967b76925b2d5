"""How an answer is read: texts, dates, names from code lists, and the functions a mapping's paths may use."""
