-- Who says so: codes of the source, or codes suggested from words; attachments by class; how unique records are.
ALTER TABLE sealed.contributions
  ADD COLUMN IF NOT EXISTS indicators_basis LowCardinality(String) AFTER minor_involved,
  ADD COLUMN IF NOT EXISTS severity_basis LowCardinality(String) AFTER indicators_basis;

ALTER TABLE cases.reports
  ADD COLUMN IF NOT EXISTS indicators_basis LowCardinality(String),
  ADD COLUMN IF NOT EXISTS severity_basis LowCardinality(String),
  ADD COLUMN IF NOT EXISTS suggested Array(Tuple(kind String, code String, evidence String)),
  ADD COLUMN IF NOT EXISTS attachments Array(Tuple(kind String, size_class String));

-- One row per whole week, written once: bands only, never a number.
CREATE TABLE IF NOT EXISTS sealed.uniqueness (
  week Date,
  alone LowCardinality(String),
  small LowCardinality(String),
  steps Array(LowCardinality(String)),
  advised Array(LowCardinality(String))
) ENGINE = ReplacingMergeTree ORDER BY week
SETTINGS non_replicated_deduplication_window = 1000;
