-- What an analyst asks for, made from released numbers alone: no view reads anything but `released`.

-- The noise of a cell. Cells from before this column all have discrete Laplace noise.
ALTER TABLE released.cells
  ADD COLUMN IF NOT EXISTS mechanism LowCardinality(String) DEFAULT 'discrete_laplace' AFTER value;

-- Which larger region a province lies in, from schemas/codes/regions.csv.
CREATE TABLE IF NOT EXISTS released.regions (
  province String,
  region String,
  label String
) ENGINE = ReplacingMergeTree ORDER BY province
SETTINGS non_replicated_deduplication_window = 100;

-- Half-width that holds 90 % of symmetric noise, in its standard deviations, where k is its excess kurtosis. 1.64485 is
-- that of the normal distribution and 0.02018 the correction of Cornish and Fisher; the other terms are fitted to exact
-- sums of 1 to 80 Laplace noises (k = 3 / n).
CREATE FUNCTION IF NOT EXISTS e90_in_sd AS (k) ->
  1.64485 + k * (-0.02018 + k * (0.02423 + k * (-0.01638 + k * (0.00541 - 0.0007 * k))));

-- e90 of a sum of independent noises, from the sum of their variances and that of their fourth cumulants. A whole
-- number is taken as spread evenly over half a unit to either side, which adds 1/12 and takes 1/120. The last line makes
-- the band whole, upwards; 0.01 is for what the fit may miss. Compared with exact sums it is never too small and at most 1
-- too large, which is rare (tests/test_views.py).
CREATE FUNCTION IF NOT EXISTS e90_of_sum AS (variance, fourth) ->
  toUInt32(ceil(
    sqrt(variance + 1 / 12) * e90_in_sd(greatest(0, fourth - 1 / 120) / pow(variance + 1 / 12, 2))
    - 0.49));

-- The nearest whole number, to the even one from halfway. Sums of floats differ in their last digits from run to run;
-- the answer must not.
CREATE FUNCTION IF NOT EXISTS nearest AS (x) -> toInt64(round(round(x, 6)));

-- The cells of the daily tables, with the variance and the fourth cumulant of their noise. A release counts only when
-- all of it is here: as many cells as its manifest says. Hourly tables count something else and never come in.
CREATE VIEW IF NOT EXISTS released.day_cells AS
WITH exp(-1 / c.noise_scale) AS q
SELECT
  toDate(c.window_start) AS day,
  c.table AS table,
  c.indicator AS indicator,
  c.sector AS sector,
  c.region AS region,
  c.value AS value,
  c.e90 AS e90,
  if(c.mechanism = 'discrete_gaussian', pow(c.noise_scale, 2), 2 * q / pow(1 - q, 2)) AS variance,
  if(c.mechanism = 'discrete_gaussian', 0, 2 * q * (1 + 4 * q + q * q) / pow(1 - q, 4)) AS fourth
FROM (
  SELECT *, count() OVER (PARTITION BY table, window_start) AS here
  FROM released.cells FINAL
  WHERE table IN ('sector_indicator', 'region_indicator') AND window_end = window_start + INTERVAL 1 DAY
) AS c
INNER JOIN (SELECT release_id, cells FROM released.releases FINAL) AS manifest ON manifest.release_id = c.release_id
WHERE c.here = manifest.cells;

-- The whole country by day: the sum over sectors and the sum over provinces count the same workplaces with noise of
-- their own, so their average, weighted by the inverse of their variances, has less noise than either.
CREATE VIEW IF NOT EXISTS released.national AS
SELECT
  day,
  indicator,
  nearest(exact) AS value,
  e90_of_sum(variance, fourth) AS e90,
  2 * toInt64(e90) <= value AS usable,
  parts,
  sector_sum,
  region_sum,
  variance / sector_variance AS sector_weight,
  1 / (1 / sector_variance + 1 / region_variance) AS variance,
  pow(variance, 4) * (sector_fourth / pow(sector_variance, 4) + region_fourth / pow(region_variance, 4)) AS fourth,
  variance * (sector_sum / sector_variance + region_sum / region_variance) AS exact
FROM (
  SELECT
    day,
    any_indicator AS indicator,
    count() AS parts,
    sumIf(value, table = 'sector_indicator') AS sector_sum,
    sumIf(value, table = 'region_indicator') AS region_sum,
    sumIf(variance, table = 'sector_indicator') AS sector_variance,
    sumIf(variance, table = 'region_indicator') AS region_variance,
    sumIf(fourth, table = 'sector_indicator') AS sector_fourth,
    sumIf(fourth, table = 'region_indicator') AS region_fourth
  FROM (
    SELECT *, arrayJoin([indicator, 'ALL']) AS any_indicator FROM released.day_cells
  )
  GROUP BY day, any_indicator
  HAVING uniqExact(table) = 2
);

-- Every figure of a day: cells, sums over the provinces of a larger region, the country, each of one indicator and of
-- all. Where both tables count the same, as they do for the country alone, this is their average as in `national`.
CREATE VIEW IF NOT EXISTS released.daily AS
SELECT
  day,
  indicator,
  sector,
  region,
  nearest(exact) AS value,
  if(parts = 1, cell_e90, e90_of_sum(variance, fourth)) AS e90,
  2 * toInt64(e90) <= value AS usable,
  parts,
  variance,
  fourth,
  exact
FROM (
  SELECT
    day,
    indicator,
    sector,
    region,
    1 / sum(1 / table_variance) AS variance,
    pow(variance, 4) * sum(table_fourth / pow(table_variance, 4)) AS fourth,
    if(count() = 1, any(table_sum), variance * sum(table_sum / table_variance)) AS exact,
    sum(table_parts) AS parts,
    any(table_e90) AS cell_e90
  FROM (
    SELECT
      day,
      any_indicator AS indicator,
      place.1 AS sector,
      place.2 AS region,
      toFloat64(sum(value)) AS table_sum,
      sum(variance) AS table_variance,
      sum(fourth) AS table_fourth,
      count() AS table_parts,
      any(e90) AS table_e90
    FROM (
      SELECT
        c.day AS day,
        c.table AS table,
        c.region AS province,
        c.value AS value,
        c.e90 AS e90,
        c.variance AS variance,
        c.fourth AS fourth,
        ifNull(larger.region, '') AS wider,
        arrayJoin([c.indicator, 'ALL']) AS any_indicator,
        arrayJoin(arrayFilter(p -> p.2 != '', [(c.sector, c.region), (c.sector, wider), ('ALL', 'ALL')])) AS place,
        if(place.2 = wider, larger.provinces, 1) AS provinces
      FROM released.day_cells AS c
      LEFT JOIN (
        SELECT province, region, count() OVER (PARTITION BY region) AS provinces FROM released.regions FINAL
      ) AS larger ON larger.province = c.region
    )
    GROUP BY day, table, any_indicator, place
    HAVING place.2 = 'ALL' OR uniqExact(province) = any(provinces)
  )
  GROUP BY day, indicator, sector, region
  HAVING count() = if(sector = 'ALL' AND region = 'ALL', 2, 1)
);

-- Sums over days. A row is there only when every day of its period is: a sum is never silently smaller.
-- Weeks run from Monday to Sunday, UTC.
CREATE VIEW IF NOT EXISTS released.weekly AS
SELECT
  toMonday(day) AS first_day,
  first_day + 6 AS last_day,
  indicator,
  sector,
  region,
  nearest(sum(d.exact)) AS value,
  e90_of_sum(sum(d.variance), sum(d.fourth)) AS e90,
  2 * toInt64(e90) <= value AS usable,
  sum(d.parts) AS parts,
  sum(d.variance) AS variance
FROM released.daily AS d
GROUP BY first_day, indicator, sector, region
HAVING count() = 7;

-- Periods of 28 days, one after the other, each four of these weeks; the first began on Monday 1 January 2024.
CREATE VIEW IF NOT EXISTS released.days28 AS
SELECT
  toDate('2024-01-01') + 28 * toInt32(floor((day - toDate('2024-01-01')) / 28)) AS first_day,
  first_day + 27 AS last_day,
  indicator,
  sector,
  region,
  nearest(sum(d.exact)) AS value,
  e90_of_sum(sum(d.variance), sum(d.fourth)) AS e90,
  2 * toInt64(e90) <= value AS usable,
  sum(d.parts) AS parts,
  sum(d.variance) AS variance
FROM released.daily AS d
GROUP BY first_day, indicator, sector, region
HAVING count() = 28;

-- Any period: released.sums(until = '2026-11-20', days = 7).
CREATE VIEW IF NOT EXISTS released.sums AS
SELECT
  {until:Date} + 1 - {days:UInt16} AS first_day,
  {until:Date} AS last_day,
  indicator,
  sector,
  region,
  nearest(sum(d.exact)) AS value,
  if(parts = 1, any(d.e90), e90_of_sum(sum(d.variance), sum(d.fourth))) AS e90,
  2 * toInt64(e90) <= value AS usable,
  sum(d.parts) AS parts,
  sum(d.variance) AS variance
FROM released.daily AS d
WHERE day BETWEEN {until:Date} + 1 - {days:UInt16} AND {until:Date}
GROUP BY indicator, sector, region
HAVING count() = {days:UInt16};

-- The finest usable view of a question, and every coarser or finer one with the reason why it is closed:
-- released.finest(indicator = 'RID', sector = 'F', region = 'TH-10', until = '2026-11-20', days = 1).
-- Place widens from the province to its larger region to the country, sector from the section to all, the period from
-- the days asked to 7 and 28; `rank` keeps place before period, and `answer` marks the first that is usable.
CREATE VIEW IF NOT EXISTS released.finest AS
SELECT
  toUInt8(row_number() OVER (ORDER BY widened, days)) AS rank,
  {indicator:String} AS indicator,
  sector,
  region,
  {until:Date} + 1 - days AS first_day,
  {until:Date} AS last_day,
  days,
  if(whole, nearest(exact), NULL) AS value,
  if(whole, if(added = 1, cell_e90, e90_of_sum(noise, noise_fourth)), NULL) AS e90,
  if(whole, noise, NULL) AS variance,
  if(whole, added, NULL) AS parts,
  ifNull(2 * toInt64(e90) <= value, 0) AS usable,
  multiIf(
    sector != 'ALL' AND region != 'ALL', 'no table has sector by province',
    NOT whole, 'not released for the whole period',
    usable, '',
    concat('e90 ', toString(e90), ' is more than half of ', toString(value))) AS why,
  toUInt8(usable AND row_number() OVER (PARTITION BY usable ORDER BY widened, days) = 1) AS answer
FROM (
  SELECT v.widened AS widened, v.sector AS sector, v.region AS region, v.days AS days,
    ifNull(s.released = v.days, 0) AS whole,
    s.exact AS exact, s.noise AS noise, s.noise_fourth AS noise_fourth, s.added AS added, s.cell_e90 AS cell_e90
  FROM (
    SELECT min(i) AS widened, place.1 AS sector, place.2 AS region,
      arrayJoin(arrayDistinct(arrayFilter(d -> d >= {days:UInt16}, [{days:UInt16}, toUInt16(7), toUInt16(28)]))) AS days
    FROM (
      SELECT arrayJoin([
        (1, {sector:String}, {region:String}),
        (2, {sector:String}, wider),
        (3, 'ALL', {region:String}),
        (4, {sector:String}, 'ALL'),
        (5, 'ALL', wider),
        (6, 'ALL', 'ALL')]) AS c, c.1 AS i, (c.2, c.3) AS place
      FROM (SELECT any(region) AS wider FROM released.regions FINAL WHERE province = {region:String})
    )
    WHERE place.2 != ''
    GROUP BY place
  ) AS v
  LEFT JOIN (
    SELECT sector, region, period AS days, count() AS released, sum(exact) AS exact, sum(variance) AS noise,
      sum(fourth) AS noise_fourth, sum(parts) AS added, any(e90) AS cell_e90
    FROM released.daily
    ARRAY JOIN arrayDistinct([{days:UInt16}, toUInt16(7), toUInt16(28)]) AS period
    WHERE indicator = {indicator:String} AND day > {until:Date} - period
      AND day BETWEEN {until:Date} + 1 - greatest({days:UInt16}, 28) AND {until:Date}
    GROUP BY sector, region, period
  ) AS s ON s.sector = v.sector AND s.region = v.region AND s.days = v.days
)
ORDER BY rank;
