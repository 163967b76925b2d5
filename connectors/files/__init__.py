"""Files: tables, workbooks, letters and exports, read as streams of records."""
