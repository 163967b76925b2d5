"""Tables as people keep them: text with delimiters, workbooks; their encodings, headers, totals and traps.

``connectors/sources/table.py`` is the door; nothing here knows a mapping, and nothing is ever evaluated.
"""
