-- How Grafana wants rows to be called, around a panel's own statement. "inner" is put in by boards.grafana.sql, as are all parameters.

-- name: series(inner)
-- A frame per metric: its value must be called Value, or its name is shown beside the metric's.
SELECT q.time, q.metric, q.value AS "Value" FROM (
:inner
) AS q;

-- name: tree(inner)
-- No table of Grafana's indents: the name does.
SELECT q.*, repeat('    ', q.depth) || q.name AS branch FROM (
:inner
) AS q;

-- name: choice(inner)
SELECT q.text AS __text, q.value AS __value FROM (
:inner
) AS q;

-- name: marks(inner)
SELECT q.time, q.time_end AS timeend, q.title || E'\n' || q.text AS text, q.tag AS tags FROM (
:inner
) AS q;
