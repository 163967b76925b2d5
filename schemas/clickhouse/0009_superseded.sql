-- Which cases their source has ended: withdrawn, or handling no longer agreed to. It binds lower revisions only: who agrees
-- again has a case again. A row is there before anything is removed, and is looked at whenever cases come in.
CREATE TABLE IF NOT EXISTS cases.superseded (
  case_token UUID,
  revision Int32,
  day Date
) ENGINE = ReplacingMergeTree(revision) ORDER BY case_token
TTL day + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;
