-- What an alert also says. The defaults are what rows from before these columns meant, as far as it is known.
ALTER TABLE released.alerts
  ADD COLUMN IF NOT EXISTS since DateTime('UTC') DEFAULT opened_at,
  ADD COLUMN IF NOT EXISTS last_alarm_at DateTime('UTC') DEFAULT opened_at,
  ADD COLUMN IF NOT EXISTS peak_value Int64 DEFAULT value,
  ADD COLUMN IF NOT EXISTS ending LowCardinality(String) DEFAULT 'UNKNOWN',
  ADD COLUMN IF NOT EXISTS window_hours UInt16 DEFAULT if(table = 'national_indicator', 1, 24),
  ADD COLUMN IF NOT EXISTS watched UInt32,
  ADD COLUMN IF NOT EXISTS false_per_year Float64 DEFAULT 1,
  ADD COLUMN IF NOT EXISTS lead_sector LowCardinality(String) DEFAULT if(table = 'region_indicator', 'ALL', sector),
  ADD COLUMN IF NOT EXISTS lead_region LowCardinality(String) DEFAULT if(table = 'sector_indicator', 'ALL', region),
  ADD COLUMN IF NOT EXISTS part_of String,
  ADD COLUMN IF NOT EXISTS parts Array(Tuple(indicator String, sector String, region String));
