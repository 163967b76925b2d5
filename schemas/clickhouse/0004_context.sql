-- Aggregated data from elsewhere, for comparison with what is released; no report ever comes here.
CREATE DATABASE IF NOT EXISTS context;

CREATE TABLE IF NOT EXISTS context.series (
  series String,
  citation String,
  indicator LowCardinality(String),
  sector LowCardinality(String),
  region LowCardinality(String),
  period_start Date,
  period_end Date,
  value Float64,
  unit LowCardinality(String)
) ENGINE = ReplacingMergeTree ORDER BY (series, indicator, sector, region, period_start);
