-- The case path: case handlers only. Shares no key, id or table with the counts.
CREATE DATABASE IF NOT EXISTS cases;

CREATE TABLE IF NOT EXISTS cases.reports (
  case_id UUID,
  case_token UUID,
  revision Int32,
  op LowCardinality(String),
  holder LowCardinality(String),
  received_hour DateTime('UTC'),
  consent_scopes Array(LowCardinality(String)),
  workplace_token String,
  country LowCardinality(String),
  region LowCardinality(String),
  sector LowCardinality(String),
  indicators Array(LowCardinality(String)),
  severity LowCardinality(String),
  urgent Bool,
  channel LowCardinality(String),
  reporter_role LowCardinality(String),
  age_band LowCardinality(String),
  workers_band LowCardinality(String),
  text_status LowCardinality(String),
  narratives Array(Tuple(key String, text String))
) ENGINE = ReplacingMergeTree ORDER BY case_id
TTL received_hour + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 10000;
