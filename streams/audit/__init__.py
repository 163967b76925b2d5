"""The black-box privacy auditor: it attacks the whole pipeline and says what it could prove. ``docs/audit.md``."""
