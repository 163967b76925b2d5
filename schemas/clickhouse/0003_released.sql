-- What every analyst may read: noisy counts of reporting workplaces, kept for ever, never corrected.
CREATE DATABASE IF NOT EXISTS released;

CREATE TABLE IF NOT EXISTS released.cells (
  table LowCardinality(String),
  window_start DateTime('UTC'),
  window_end DateTime('UTC'),
  indicator LowCardinality(String),
  sector LowCardinality(String),
  region LowCardinality(String),
  value Int64,
  noise_scale UInt32,
  e90 UInt32,
  domain_version UInt32,
  release_id String
) ENGINE = ReplacingMergeTree ORDER BY (table, window_start, indicator, sector, region)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS released.releases (
  release_id String,
  table LowCardinality(String),
  window_start DateTime('UTC'),
  window_end DateTime('UTC'),
  domain_version UInt32,
  profile LowCardinality(String),
  mechanism LowCardinality(String),
  noise_scale UInt32,
  sensitivity_l1 UInt32,
  milli_epsilon UInt32,
  e90 UInt32,
  own_week_days UInt32,
  own_weeks_per_year UInt32,
  sources_connected UInt32,
  cells UInt32
) ENGINE = ReplacingMergeTree ORDER BY release_id
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS released.alerts (
  alert_id String,
  state LowCardinality(String),
  table LowCardinality(String),
  indicator LowCardinality(String),
  sector LowCardinality(String),
  region LowCardinality(String),
  opened_at DateTime('UTC'),
  updated_at DateTime('UTC'),
  closed_at Nullable(DateTime('UTC')),
  value Int64,
  baseline Float64,
  e90 UInt32,
  score Float64,
  threshold Float64,
  detector LowCardinality(String),
  reason String,
  release_id String
) ENGINE = ReplacingMergeTree(updated_at) ORDER BY alert_id
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS released.codebook (
  list LowCardinality(String),
  code String,
  label String
) ENGINE = ReplacingMergeTree ORDER BY (list, code)
SETTINGS non_replicated_deduplication_window = 100;
