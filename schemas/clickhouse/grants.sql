-- Who may read what on a ClickHouse server: `chorus migrate --grants`. Not a migration: it may be run again at any time,
-- and then says anew, in one statement per role, all that the role may do. No role sees both `sealed` and `cases`.
-- chDB has no users: who may open its folder may read it.

-- Counts and releases: de-identified reports come in, releases go out. Reads no case.
CREATE ROLE IF NOT EXISTS chorus_release;
GRANT SELECT ON sealed.*, INSERT ON sealed.*, ALTER DELETE ON sealed.*, SELECT ON released.*, INSERT ON released.*
  TO chorus_release WITH REPLACE OPTION;

-- Watch: looks at what is released and writes alerts. Reads nothing else.
CREATE ROLE IF NOT EXISTS chorus_watch;
GRANT SELECT ON released.*, INSERT ON released.* TO chorus_watch WITH REPLACE OPTION;

-- Cases, kept and let go: `chorus cases run`. Reads no contribution.
CREATE ROLE IF NOT EXISTS chorus_cases_keeper;
GRANT SELECT ON cases.*, INSERT ON cases.*, ALTER DELETE ON cases.*, ALTER UPDATE ON cases.*
  TO chorus_cases_keeper WITH REPLACE OPTION;

-- Cases: those who handle them. Reads no contribution and changes nothing.
CREATE ROLE IF NOT EXISTS chorus_cases;
GRANT SELECT ON cases.* TO chorus_cases WITH REPLACE OPTION;
ALTER ROLE chorus_cases SETTINGS readonly = 1;

-- Analysts: released numbers and what they are compared with. Nothing of one report, and no change.
CREATE ROLE IF NOT EXISTS chorus_analyst;
GRANT SELECT ON released.*, SELECT ON context.* TO chorus_analyst WITH REPLACE OPTION;
ALTER ROLE chorus_analyst SETTINGS readonly = 1;
