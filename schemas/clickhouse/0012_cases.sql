-- The report as its source gave it, sealed under its own key and wrapped once more for the case path: opened by two people
-- together, for a while. Base 64. Who erases a report's key, or a case, has erased this.
CREATE TABLE IF NOT EXISTS cases.originals (
  case_id UUID,
  case_token UUID,
  received_hour DateTime('UTC'),
  original String
) ENGINE = ReplacingMergeTree ORDER BY case_id
TTL received_hour + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- What holders were told of several reports on one workplace: so that it is told once, and again when it has doubled.
CREATE TABLE IF NOT EXISTS cases.clusters (
  cluster_id UUID,
  holder LowCardinality(String),
  workplace_token String,
  reports UInt32,
  turn UInt32,
  told_hour DateTime('UTC')
) ENGINE = ReplacingMergeTree ORDER BY cluster_id
TTL told_hour + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 1000;

ALTER TABLE cases.reports
  ADD INDEX IF NOT EXISTS by_case case_token TYPE bloom_filter GRANULARITY 1,
  ADD INDEX IF NOT EXISTS by_workplace workplace_token TYPE bloom_filter GRANULARITY 1;

-- What there is to read: of each report the newest revision, while its worker and its source still allow a case. What is
-- being taken away is not here any more, whether or not it is gone yet.
CREATE VIEW IF NOT EXISTS cases.visible AS
SELECT r.* FROM cases.reports AS r FINAL
LEFT JOIN (SELECT case_token, max(revision) AS ended FROM cases.superseded GROUP BY case_token) AS s
  ON r.case_token = s.case_token
WHERE r.revision >= s.ended AND has(r.consent_scopes, 'CASE_HANDLING')
  AND r.case_token NOT IN (SELECT case_token FROM cases.taken_back WHERE NOT has(consent_scopes, 'CASE_HANDLING'))
ORDER BY r.revision DESC, r.case_id
LIMIT 1 BY r.case_token;
