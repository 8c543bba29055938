-- From advisory to finished work: what should be done, what is being done, when.

-- name: advisory_summary()
WITH now AS (SELECT servitize.timeline_now() AS at)
SELECT count(*) FILTER (WHERE a.state = 'open') AS open,
       count(*) FILTER (WHERE a.state = 'open' AND a.priority IN ('urgent', 'high')) AS pressing,
       count(*) FILTER (WHERE a.state IN ('open', 'accepted') AND a.due_at < now.at) AS overdue,
       count(*) FILTER (WHERE a.state = 'deferred') AS deferred,
       count(*) FILTER (WHERE a.state = 'accepted') AS accepted
  FROM servitize.advisory a, now;

-- name: advisories()
-- What wants a decision or is under way, by its date.
SELECT e.id AS equipment_id, e.name AS equipment, a.component, a.title, a.priority, a.state, a.due_at,
       extract(epoch FROM a.due_at - (SELECT servitize.timeline_now()))::float8 / 86400 AS days,
       coalesce(a.plan->>'name', '') AS work, a.due_rule
  FROM servitize.advisory a JOIN servitize.equipment e ON e.id = a.equipment_id
 WHERE a.state <> 'resting'
 ORDER BY a.state = 'rejected', a.due_at NULLS LAST, a.id
 LIMIT 200;

-- name: advisory_outcomes(from_us, to_us)
-- How advisories ended in this time.
SELECT x.label, count(j.id)::float8 AS value
  FROM (VALUES ('done', 1), ('unfounded', 2), ('rejected', 3), ('gone', 4)) AS x (label, rank)
  LEFT JOIN servitize.advisory_journal j
    ON j.at >= servitize.from_us(:from_us::bigint) AND j.at <= servitize.from_us(:to_us::bigint)
   AND x.label = CASE j.event WHEN 'work_done' THEN CASE WHEN j.detail->>'outcome' = 'no_fault_found' THEN 'unfounded' ELSE 'done' END
                              WHEN 'reject' THEN 'rejected' WHEN 'gone' THEN 'gone' END
 GROUP BY x.label, x.rank
 ORDER BY x.rank;

-- name: work_summary()
WITH now AS (SELECT servitize.timeline_now() AS at)
SELECT count(*) FILTER (WHERE w.state NOT IN ('closed', 'cancelled')) AS unfinished,
       count(*) FILTER (WHERE w.state = 'planned') AS to_approve,
       count(*) FILTER (WHERE w.state = 'in_progress') AS in_progress,
       count(*) FILTER (WHERE w.state = 'done') AS watched,
       count(*) FILTER (WHERE w.state NOT IN ('done', 'verified', 'closed', 'cancelled') AND w.due_at < now.at) AS overdue,
       count(*) FILTER (WHERE w.state = 'reopened') AS reopened
  FROM servitize.work_order w, now;

-- name: work()
-- Unfinished work, by its date.
SELECT e.id AS equipment_id, e.name AS equipment, w.id AS work_order, w.component, w.title, w.kind, w.state, w.priority, w.due_at,
       w.scheduled_start, w.crew, coalesce(w.verification->>'text', '') AS seen
  FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id
 WHERE w.state NOT IN ('closed', 'cancelled')
 ORDER BY w.due_at NULLS LAST, w.id
 LIMIT 200;

-- name: work_finished(from_us, to_us)
-- What was closed, with what it cost, newest first.
SELECT e.id AS equipment_id, e.name AS equipment, w.component, w.title, w.outcome, w.closed_at, w.reopenings,
       (SELECT coalesce(sum(x.cost), 0) FROM servitize.work_entry x WHERE x.work_order_id = w.id)::float8 AS cost
  FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id
 WHERE w.state = 'closed' AND w.closed_at >= servitize.from_us(:from_us::bigint) AND w.closed_at <= servitize.from_us(:to_us::bigint)
 ORDER BY w.closed_at DESC, w.id DESC
 LIMIT 100;

-- name: calendar()
-- What has a time, of the next weeks.
SELECT e.id AS equipment_id, e.name AS equipment, w.component, w.title, w.state, w.priority, w.scheduled_start, w.scheduled_end, w.crew, w.due_at,
       extract(epoch FROM w.due_at - w.scheduled_start)::float8 / 86400 AS margin
  FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id
 WHERE w.state IN ('scheduled', 'in_progress')
 ORDER BY w.scheduled_start NULLS FIRST, w.id
 LIMIT 200;

-- name: calendar_load()
-- Person-hours by day, four weeks ahead of the tenant's now.
SELECT to_char(d.day AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS label,
       coalesce(sum((w.plan->>'minutes')::float8 * (w.plan->>'crew')::float8 / 60), 0)::float8 AS value
  FROM generate_series(date_trunc('day', servitize.timeline_now(), 'UTC'), servitize.timeline_now() + interval '28 days', interval '1 day') AS d (day)
  LEFT JOIN servitize.work_order w
    ON w.state IN ('scheduled', 'in_progress') AND w.scheduled_start >= d.day AND w.scheduled_start < d.day + interval '1 day'
 GROUP BY d.day
 ORDER BY d.day;

-- name: calendar_waiting()
-- What has no time yet, and which part it waits for.
SELECT e.id AS equipment_id, e.name AS equipment, w.component, w.title, w.state, w.due_at,
       coalesce((SELECT string_agg(p.name, ', ' ORDER BY p.name) FROM servitize.reservation r JOIN servitize.part p ON p.id = r.part_id
                  WHERE r.work_order_id = w.id AND r.quantity > p.on_hand), '') AS missing
  FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id
 WHERE w.state IN ('planned', 'approved', 'reopened')
 ORDER BY w.due_at NULLS LAST, w.id
 LIMIT 200;

-- name: stock_short()
-- Parts of which there is too little: below what is reserved, or below the least wanted.
SELECT p.key AS part, p.name, p.on_hand::float8 AS on_hand, coalesce(r.reserved, 0)::float8 AS reserved, p.minimum::float8 AS minimum,
       p.lead_days
  FROM servitize.part p
  LEFT JOIN LATERAL (SELECT sum(x.quantity) AS reserved FROM servitize.reservation x WHERE x.part_id = p.id) r ON true
 WHERE p.on_hand < coalesce(r.reserved, 0) OR p.on_hand < p.minimum
 ORDER BY p.on_hand - coalesce(r.reserved, 0), p.key
 LIMIT 100;
