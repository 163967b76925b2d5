-- What is promised with a release, whole, and whose heartbeat was heard; with Gaussian noise, its loss.
ALTER TABLE released.releases
  ADD COLUMN IF NOT EXISTS micro_rho UInt32 AFTER milli_epsilon,
  ADD COLUMN IF NOT EXISTS sources_heard UInt32 AFTER sources_connected,
  ADD COLUMN IF NOT EXISTS manifest String AFTER sources_heard;
