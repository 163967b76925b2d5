-- What workers took back, so that it also holds for what is still on its way. Each path has a table of its own, under
-- its own tokens: they cannot be joined. A row is there before anything is removed, and is looked at whenever rows come in.
CREATE TABLE IF NOT EXISTS sealed.taken_back (
  report_token UUID,
  change_token UUID,
  day Date
) ENGINE = ReplacingMergeTree ORDER BY (report_token, change_token)
TTL day + INTERVAL 120 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS cases.taken_back (
  case_token UUID,
  change_token UUID,
  consent_scopes Array(String),
  day Date
) ENGINE = ReplacingMergeTree ORDER BY (case_token, change_token)
TTL day + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;
