-- Champion and challenger side by side, over a stretch of time; for the platform (all machines) and for a tenant (those it sees).

-- name: compare_lives(model, time_from, time_to)
-- By version: what was said, and where the life ended since, how well. A step's true life is the number of steps told after it up to the
-- failure; both sides are cut at the horizon.
WITH failed AS (
    SELECT o.equipment_id, o.component, o.at FROM servitize.confirmed_outcome o WHERE o.verdict = 'failure' AND o.withdrawn_at IS NULL
    UNION
    SELECT v.equipment_id, coalesce(v.body->>'component', ''), v.ts FROM servitize.event v WHERE v.kind = 'failure'),
said AS (
    SELECT p.*, f.at AS ended
      FROM servitize.prognosis p
      LEFT JOIN LATERAL (SELECT x.at FROM failed x
                          WHERE x.equipment_id = p.equipment_id AND (x.component = p.component OR '' IN (x.component, p.component))
                            AND x.at >= p.at ORDER BY x.at LIMIT 1) f ON true
     WHERE p.model = :model AND (:time_from::timestamptz IS NULL OR p.at >= :time_from) AND (:time_to::timestamptz IS NULL OR p.at < :time_to)),
counted AS (
    SELECT s.*, count(*) OVER (PARTITION BY s.equipment_id, s.component, s.version, s.ended ORDER BY s.at DESC) - 1 AS steps FROM said s),
judged AS (
    SELECT c.*, CASE WHEN c.ended IS NOT NULL THEN least(c.steps::float8, coalesce(c.horizon, 'infinity')) END AS life FROM counted c)
SELECT j.version, bool_or(j.champion) AS champion, count(*) AS told, count(DISTINCT j.equipment_id) AS machines, min(j.at) AS first,
       max(j.at) AS last, avg(j.p90 - j.p10) AS width, count(j.life) AS judged, sqrt(avg((j.p50 - j.life) ^ 2)) AS rmse,
       avg(j.p50 - j.life) AS bias, avg((j.life BETWEEN j.p10 AND j.p90)::int) FILTER (WHERE j.life IS NOT NULL) AS coverage
  FROM judged j GROUP BY j.version ORDER BY j.version DESC;

-- name: compare_scores(model, time_from, time_to, horizon)
-- By version: alarms it raised or would have, of the machine and of instruments; those that nothing followed within the horizon; and of the
-- failures and defects confirmed since how many it saw coming.
WITH known AS (
    SELECT o.equipment_id, o.component, o.at FROM servitize.confirmed_outcome o
     WHERE o.verdict IN ('failure', 'defect') AND o.withdrawn_at IS NULL
    UNION
    SELECT v.equipment_id, coalesce(v.body->>'component', ''), v.ts FROM servitize.event v WHERE v.kind = 'failure'),
said AS (
    SELECT s.*, EXISTS (SELECT FROM known k WHERE k.equipment_id = s.equipment_id AND k.at >= s.at
                           AND k.at <= s.at + :horizon::interval) AS followed
      FROM servitize.model_score s
     WHERE s.model = :model AND (:time_from::timestamptz IS NULL OR s.at >= :time_from) AND (:time_to::timestamptz IS NULL OR s.at < :time_to)),
spans AS (
    SELECT s.version, s.equipment_id, min(s.at) AS first, max(s.at) AS last FROM said s GROUP BY s.version, s.equipment_id),
seen AS (
    SELECT p.version, count(*) AS known,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM said s WHERE s.version = p.version AND s.equipment_id = k.equipment_id AND s.change = 'raised'
                  AND s.concern = 'machine' AND s.at BETWEEN k.at - :horizon::interval AND k.at)) AS foreseen
      FROM spans p JOIN known k ON k.equipment_id = p.equipment_id AND k.at BETWEEN p.first AND p.last + :horizon::interval
     GROUP BY p.version)
SELECT s.version, bool_or(s.champion) AS champion, count(*) AS told, count(DISTINCT s.equipment_id) AS machines, min(s.at) AS first,
       max(s.at) AS last, avg(s.score) FILTER (WHERE s.change IS NULL) AS score,
       count(*) FILTER (WHERE s.change = 'raised' AND s.concern = 'machine') AS machine_alarms,
       count(*) FILTER (WHERE s.change = 'raised' AND s.concern = 'instrument') AS instrument_alarms,
       count(*) FILTER (WHERE s.change = 'raised' AND s.concern = 'machine' AND NOT s.followed) AS unfollowed,
       coalesce(max(n.known), 0) AS known, coalesce(max(n.foreseen), 0) AS foreseen
  FROM said s LEFT JOIN seen n ON n.version = s.version
 GROUP BY s.version ORDER BY s.version DESC;

-- name: agreement(model, time_from, time_to)^
-- Where champion and challenger spoke of the same machine at the same moment: how often, and how far apart.
SELECT count(*) AS pairs, avg(abs(a.p50 - b.p50)) AS apart
  FROM servitize.prognosis a
  JOIN servitize.prognosis b USING (equipment_id, model, component, at)
 WHERE a.model = :model AND a.champion AND NOT b.champion
   AND (:time_from::timestamptz IS NULL OR a.at >= :time_from) AND (:time_to::timestamptz IS NULL OR a.at < :time_to);

-- name: drift_of(model, time_from, time_to)
-- By version: windows looked at, those that had moved away, and the point that moved most.
SELECT d.version, count(*) AS windows, count(*) FILTER (WHERE d.drifted) AS drifted, max(d.index) AS worst,
       (array_agg((SELECT p.key FROM jsonb_each(d.points) p ORDER BY p.value::float8 DESC LIMIT 1) ORDER BY d.index DESC))[1] AS point
  FROM servitize.model_drift d
 WHERE d.model = :model AND (:time_from::timestamptz IS NULL OR d.at >= :time_from) AND (:time_to::timestamptz IS NULL OR d.at < :time_to)
 GROUP BY d.version ORDER BY d.version DESC;
