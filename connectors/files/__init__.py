"""Files: tables, workbooks and letters, read as streams of records."""
