-- The sealed zone: the release role only. Pre-noise rows exist here and in the release transaction, nowhere else.
CREATE DATABASE IF NOT EXISTS sealed;

-- One row per contribution, once however often it is delivered: a retried batch is dropped by its token,
-- a redelivered event by its id.
CREATE TABLE IF NOT EXISTS sealed.contributions (
  contribution_id UUID,
  report_token UUID,
  revision Int32,
  op LowCardinality(String),
  countable Bool,
  unit String,
  unit_kind LowCardinality(String),
  country LowCardinality(String),
  region LowCardinality(String),
  sector LowCardinality(String),
  indicators Array(LowCardinality(String)),
  severity LowCardinality(String),
  minor_involved Bool,
  landed_hour DateTime('UTC')
) ENGINE = ReplacingMergeTree ORDER BY contribution_id
TTL landed_hour + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS sealed.dead_letters (
  dead_letter_id UUID,
  event_id Nullable(UUID),
  source_id LowCardinality(String),
  reason LowCardinality(String),
  stage LowCardinality(String),
  at_hour DateTime('UTC'),
  topic String,
  partition Int32,
  offset Int64,
  payload LowCardinality(String),
  key_ref Nullable(UUID),
  nonce String,
  sealed String
) ENGINE = ReplacingMergeTree ORDER BY dead_letter_id
TTL at_hour + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;
