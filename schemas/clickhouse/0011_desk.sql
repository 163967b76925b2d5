-- What people do with alerts. Codes and names of organisations only: no free text, nobody's name.
-- action: ACKNOWLEDGE, ASSIGN (code: an organisation), COMMENT (code: of alert_comment_codes), CLOSE (code: the outcome,
-- CONFIRMED, EXPLAINED or FALSE_ALARM), REOPEN. over: the numbers were usual again when it was done. A row is written once
-- and never changed.
CREATE TABLE IF NOT EXISTS released.alert_actions (
  action_id UUID,
  alert_id String,
  at DateTime64(3, 'UTC'),
  organisation LowCardinality(String),
  action LowCardinality(String),
  code LowCardinality(String),
  over Bool
) ENGINE = ReplacingMergeTree ORDER BY (alert_id, at, action_id)
SETTINGS non_replicated_deduplication_window = 10000;

-- Where each alert stands that anybody has done something with; one that is not here is OPEN. What was done before it was
-- reopened no longer counts; of several outcomes the last one does. The same as `standing` of connectors/desk.py. An alert that
-- was closed when it was over (closed_over) and whose numbers rise again since is open again, whatever is said here.
CREATE VIEW IF NOT EXISTS released.standings AS
SELECT
  alert_id,
  multiIf(
    countIf(action = 'CLOSE') > 0, 'CLOSED',
    countIf(action = 'ASSIGN') > 0, 'ASSIGNED',
    countIf(action = 'ACKNOWLEDGE') > 0, 'ACKNOWLEDGED',
    'OPEN') AS state,
  argMaxIf(code, turn, action = 'ASSIGN') AS assigned_to,
  argMaxIf(code, turn, action = 'CLOSE') AS outcome,
  argMaxIf(over, turn, action = 'CLOSE') AS closed_over,
  max(at) AS acted_at
FROM (
  SELECT *, (at, toString(action_id)) AS turn, maxIf(turn, action = 'REOPEN') OVER (PARTITION BY alert_id) AS reopened
  FROM released.alert_actions FINAL
)
WHERE turn >= reopened
GROUP BY alert_id;

-- How often alerts were right, by table, as far as somebody said so: confirmed / (confirmed + explained + false alarms).
-- Empty before the first outcome. `waiting` have ended and nobody has said what they were.
CREATE VIEW IF NOT EXISTS released.precision AS
SELECT
  a.table AS table,
  countIf(s.outcome = 'CONFIRMED') AS confirmed,
  countIf(s.outcome = 'EXPLAINED') AS explained,
  countIf(s.outcome = 'FALSE_ALARM') AS false_alarms,
  confirmed + explained + false_alarms AS judged,
  countIf(a.state = 'CLOSED' AND s.outcome = '') AS waiting,
  if(judged = 0, NULL, confirmed / judged) AS precision
FROM (SELECT alert_id, table, state FROM released.alerts FINAL) AS a
LEFT JOIN (SELECT alert_id, outcome FROM released.standings WHERE state = 'CLOSED') AS s ON s.alert_id = a.alert_id
GROUP BY table;
