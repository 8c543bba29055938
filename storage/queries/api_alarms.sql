-- name: alarms(id, state, standing, priority, concern, equipment, first_out, after_at, after_id, count)
-- Newest change first. A group: the alarm that stands for itself carries those of its consequences that are not normal.
SELECT a.id, a.equipment_id, e.key AS equipment_key, e.name AS equipment_name, a.condition, a.component, a.state, a.active, a.latching,
       a.priority, a.concern, a.title, a.point, a.value, a."limit", a.failure_mode, a.consequence, a.action, a.first_out, a.detail,
       a.occurrences, a.raised_at, a.cleared_at, a.acknowledged_at, a.acknowledged_by, a.shelved_until, a.shelved_by,
       a.shelved_reason, a.changed_at, cause.id AS first_out_id, coalesce(k.consequences, '[]') AS consequences
  FROM servitize.alarm a
  JOIN servitize.equipment e ON e.id = a.equipment_id
  LEFT JOIN servitize.alarm cause ON cause.equipment_id = a.equipment_id AND cause.condition = a.first_out
  LEFT JOIN LATERAL (
      SELECT jsonb_agg(jsonb_build_object('id', c.id, 'condition', c.condition, 'title', c.title, 'state', c.state, 'active', c.active,
                                          'priority', c.priority, 'raised_at', c.raised_at) ORDER BY c.raised_at, c.id) AS consequences
        FROM servitize.alarm c
       WHERE c.equipment_id = a.equipment_id AND c.first_out = a.condition AND (c.state <> 'normal' OR :id::bigint IS NOT NULL)) k
    ON a.first_out IS NULL
 WHERE (:id::bigint IS NULL OR a.id = :id)
   AND (:state::text[] IS NULL OR a.state = ANY (:state))
   AND (:standing::boolean IS NULL OR (a.state <> 'normal') = :standing)
   AND (:priority::text[] IS NULL OR a.priority = ANY (:priority))
   AND (:concern::text IS NULL OR a.concern = :concern)
   AND (:equipment::int IS NULL OR a.equipment_id = :equipment)
   AND (:first_out::boolean IS NULL OR (a.first_out IS NULL) = :first_out)
   AND (:after_at::timestamptz IS NULL OR (a.changed_at, a.id) < (:after_at, :after_id::bigint))
 ORDER BY a.changed_at DESC, a.id DESC
 LIMIT :count;

-- name: alarm_journal(alarm, after, count)
-- Newest entry first.
SELECT j.id, j.at, j.recorded_at, j.event, j.actor, j.reason, j.from_state, j.to_state, j.active, j.priority, j.value, j."limit",
       j.first_out, j.announced, j.late, j.detail
  FROM servitize.alarm_journal j
 WHERE j.alarm_id = :alarm AND (:after::bigint IS NULL OR j.id < :after)
 ORDER BY j.id DESC
 LIMIT :count;

-- name: operate_alarm(alarm, command, who, why, until)^
SELECT o.from_state, o.to_state, o.announced
  FROM servitize.operate_alarm(:alarm::bigint, :command::text, :who::text, :why::text, :until::timestamptz) o;

-- name: last_journal_entry(alarm)$
SELECT max(j.id) FROM servitize.alarm_journal j WHERE j.alarm_id = :alarm;

-- name: alarm_definition(alarm)^
SELECT a.id, a.condition, d.latching, d.priority, d.reason, d.changed_by, d.changed_at, coalesce(d.revision, 0) AS revision,
       a.latching AS latching_now, a.priority AS priority_now
  FROM servitize.alarm a
  LEFT JOIN servitize.alarm_definition d ON d.equipment_id = a.equipment_id AND d.condition = a.condition
 WHERE a.id = :alarm;

-- name: define_alarm(alarm, latching, priority, reason, who)$
SELECT servitize.define_alarm(:alarm::bigint, :latching::boolean, :priority::text, :reason::text, :who::text);

-- name: alarm_history(alarm, time_from)
-- What the condition did, in event order, for a definition that is tried.
SELECT t.change, servitize.to_us(t.at) AS at, t.priority, t.announce
  FROM servitize.condition_transition t
  JOIN servitize.alarm a ON a.equipment_id = t.equipment_id AND a.condition = t.condition
 WHERE a.id = :alarm AND t.at >= :time_from AND NOT t.late
 ORDER BY t.at, t.id LIMIT 20000;

-- name: bad_actors(time_from, time_to, equipment, count)
-- Alarms by how often they spoke. "fleeting": gone again within 10 s; "chattering": spoke again within a minute of going.
WITH spoken AS (
    SELECT j.alarm_id, j.at, j.announced, j.event, lag(j.at) OVER w AS before_at, lag(j.event) OVER w AS before
      FROM servitize.alarm_journal j
     WHERE j.at >= :time_from AND j.at < :time_to AND (:equipment::int IS NULL OR j.equipment_id = :equipment)
       AND j.event IN ('raised', 'cleared')
    WINDOW w AS (PARTITION BY j.alarm_id ORDER BY j.at, j.id)),
counted AS (
    SELECT s.alarm_id, count(*) FILTER (WHERE s.announced) AS announced,
           count(*) FILTER (WHERE s.event = 'cleared' AND s.before = 'raised' AND s.at - s.before_at <= interval '10 seconds') AS fleeting,
           count(*) FILTER (WHERE s.event = 'raised' AND s.before = 'cleared' AND s.at - s.before_at <= interval '1 minute') AS chattering,
           extract(epoch FROM max(s.at - s.before_at) FILTER (WHERE s.event = 'cleared' AND s.before = 'raised'))::float8 AS longest_seconds
      FROM spoken s GROUP BY s.alarm_id)
SELECT a.id, e.id AS equipment_id, e.key AS equipment_key, e.name AS equipment_name, a.condition, a.title, a.priority, a.state, a.active, a.raised_at,
       c.announced, c.fleeting, c.chattering, c.longest_seconds, sum(c.announced) OVER () AS all_announced,
       extract(epoch FROM :time_to::timestamptz - a.raised_at)::float8 AS standing_seconds
  FROM counted c
  JOIN servitize.alarm a ON a.id = c.alarm_id
  JOIN servitize.equipment e ON e.id = a.equipment_id
 WHERE c.announced > 0
 ORDER BY c.announced DESC, c.chattering DESC, a.id
 LIMIT :count;
