-- name: advisories(id, state, priority, equipment, due_before, after_at, after_id, count)
-- Newest change first; resting ones only where asked for.
SELECT a.id, a.equipment_id, e.key AS equipment_key, e.name AS equipment_name, a.component, a.failure_mode, a.state, a.outcome, a.title,
       a.priority, a.due_at, a.due_rule, a.consequence, a.plan, a.evidence, a.occurrences, a.opened_at, a.deferred_until, a.decided_by,
       a.decided_at, a.reason, a.work_order_id, a.changed_at, a.revision,
       (SELECT max(c.id) FROM servitize.diagnosis_case c
         WHERE c.equipment_id = a.equipment_id AND c.component = a.component AND c.state <> 'closed') AS case_id
  FROM servitize.advisory a JOIN servitize.equipment e ON e.id = a.equipment_id
 WHERE (:id::bigint IS NULL OR a.id = :id)
   AND (:state::text[] IS NULL OR a.state = ANY (:state))
   AND (:priority::text[] IS NULL OR a.priority = ANY (:priority))
   AND (:equipment::int IS NULL OR a.equipment_id = :equipment)
   AND (:due_before::timestamptz IS NULL OR a.due_at < :due_before)
   AND (:after_at::timestamptz IS NULL OR (a.changed_at, a.id) < (:after_at, :after_id::bigint))
 ORDER BY a.changed_at DESC, a.id DESC
 LIMIT :count;

-- name: advisory_revision(advisory)$
SELECT servitize.hold_advisory(:advisory::bigint);

-- name: advisory_journal(advisory, after, count)
SELECT j.id, j.at, j.recorded_at, j.event, j.actor, j.reason, j.from_state, j.to_state, j.priority, j.due_at, j.announced
  FROM servitize.advisory_journal j
 WHERE j.advisory_id = :advisory AND (:after::bigint IS NULL OR j.id < :after)
 ORDER BY j.id DESC LIMIT :count;

-- name: operate_advisory(advisory, command, who, why, until)^
SELECT o.from_state, o.to_state, o.announced, o.work_order_id
  FROM servitize.operate_advisory(:advisory::bigint, :command::text, :who::text, :why::text, :until::timestamptz) o;

-- name: advisory_of(equipment, component, mode)^
SELECT a.id, a.state, a.evidence, a.priority FROM servitize.advisory a
 WHERE a.equipment_id = :equipment AND a.component = :component AND a.failure_mode = :mode;

-- name: record_evidence(equipment, component, mode, at, holds, facts)^
SELECT r.advisory, r.from_state, r.to_state, r.announced
  FROM servitize.record_evidence(:equipment::int, :component::text, :mode::text, servitize.from_us(:at::bigint), :holds::boolean,
                                 :facts::jsonb) r;

-- name: work_orders(id, state, unfinished, kind, equipment, advisory, after_at, after_id, count)
SELECT w.id, w.equipment_id, e.key AS equipment_key, e.name AS equipment_name, w.component, w.kind, w.advisory_id, w.failure_mode, w.title,
       w.state, w.priority, w.due_at, w.plan, w.checklist, w.scheduled_start, w.scheduled_end, w.crew, w.started_at, w.done_at, w.outcome,
       w.findings, w.verification, w.closed_at, w.reopenings, w.approved_by, w.created_by, w.created_at, w.changed_at, w.revision,
       (SELECT coalesce(sum(x.cost), 0) FROM servitize.work_entry x WHERE x.work_order_id = w.id) AS cost
  FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id
 WHERE (:id::bigint IS NULL OR w.id = :id)
   AND (:state::text[] IS NULL OR w.state = ANY (:state))
   AND (:unfinished::boolean IS NULL OR (w.state NOT IN ('closed', 'cancelled')) = :unfinished)
   AND (:kind::text IS NULL OR w.kind = :kind)
   AND (:equipment::int IS NULL OR w.equipment_id = :equipment)
   AND (:advisory::bigint IS NULL OR w.advisory_id = :advisory)
   AND (:after_at::timestamptz IS NULL OR (w.changed_at, w.id) < (:after_at, :after_id::bigint))
 ORDER BY w.changed_at DESC, w.id DESC
 LIMIT :count;

-- name: work_revision(work)$
SELECT servitize.hold_work(:work::bigint);

-- name: work_journal(work, after, count)
SELECT j.id, j.at, j.recorded_at, j.event, j.actor, j.reason, j.from_state, j.to_state, j.announced, j.detail
  FROM servitize.work_journal j
 WHERE j.work_order_id = :work AND (:after::bigint IS NULL OR j.id < :after)
 ORDER BY j.id DESC LIMIT :count;

-- name: work_entries(work)
SELECT x.id, x.at, x.recorded_at, x.actor, x.kind, x.item, x.quantity, x.unit, x.cost, x.note
  FROM servitize.work_entry x WHERE x.work_order_id = :work ORDER BY x.id;

-- name: work_photos(work)
SELECT encode(p.sha256, 'hex') AS sha256, p.media_type, length(p.content) AS bytes, p.note, p.actor, p.at
  FROM servitize.work_photo p WHERE p.work_order_id = :work ORDER BY p.at, p.sha256;

-- name: work_photo(work, hash)^
SELECT p.media_type, p.content FROM servitize.work_photo p WHERE p.work_order_id = :work AND encode(p.sha256, 'hex') = :hash;

-- name: plan_work(equipment, component, kind, task, failure_mode, title, priority, due, plan, who)$
SELECT servitize.plan_work(:equipment::int, :component::text, :kind::text, :task::text, :failure_mode::text, :title::text, :priority::text,
                           :due::timestamptz, :plan::jsonb, :who::text);

-- name: operate_work(work, command, who, why, facts, moment)^
SELECT o.from_state, o.to_state, o.announced
  FROM servitize.operate_work(:work::bigint, :command::text, :who::text, :why::text, :facts::jsonb, :moment::timestamptz) o;

-- name: tick_work(work, line, done, who, note)$
SELECT servitize.tick_work(:work::bigint, :line::int, :done::boolean, :who::text, :note::text);

-- name: enter_work(work, kind, item, quantity, unit, cost, note, who)$
SELECT servitize.enter_work(:work::bigint, :kind::text, :item::text, :quantity::numeric, :unit::text, :cost::numeric, :note::text, :who::text);

-- name: keep_photo(work, picture, media_type, note, who)$
SELECT encode(servitize.keep_photo(:work::bigint, :picture::bytea, :media_type::text, :note::text, :who::text), 'hex');

-- name: plan_of_equipment(equipment)^
-- The part of its type that speaks of upkeep.
SELECT e.tenant_id = (SELECT servitize.current_tenant()) AS own, t.key AS type_key, t.revision, t.document->'maintenance' AS maintenance,
       t.document->'components' AS components, t.document->'running' AS running
  FROM servitize.equipment e LEFT JOIN servitize.equipment_type t ON t.key = e.type_key
 WHERE e.id = :equipment;

-- name: timeline()$
SELECT servitize.timeline_now();

-- name: maintenance_tenants(timers)
SELECT t.id FROM servitize.maintenance_tenants(:timers::boolean) t (id);

-- name: take_news()^
SELECT n.after, n.upto FROM servitize.take_news() n WHERE n.upto IS NOT NULL;

-- name: finish_news(upto)$
SELECT servitize.finish_news(:upto::bigint);

-- name: maintenance_news(after, upto, count)
-- What alarms of our own equipment did, in order; machines' and instruments', and only those that stand for themselves.
SELECT o.seq, o.equipment_id, o.payload
  FROM servitize.outbox o JOIN servitize.equipment e ON e.id = o.equipment_id
 WHERE o.seq > :after AND o.seq <= :upto AND o.kind IN ('alarm', 'alarm_change')
   AND e.tenant_id = (SELECT servitize.current_tenant())
 ORDER BY o.seq LIMIT :count;

-- name: maintenance_timers()$
SELECT servitize.maintenance_timers();

-- name: work_to_watch()
-- Orders of our own equipment that are done, with what has been seen since: running time by its states (all time where its type has none).
SELECT w.id, w.equipment_id, servitize.to_us(w.done_at) AS done_at, w.plan, w.outcome, servitize.to_us(seen.upto) AS upto,
       CASE WHEN jsonb_array_length(coalesce(t.document->'running', '[]')) = 0
            THEN greatest(0, servitize.to_us(seen.upto) - servitize.to_us(w.done_at))
            ELSE coalesce(ran.us, 0) END AS ran,
       coalesce(held.alarms, '[]') AS holds
  FROM servitize.work_order w
  JOIN servitize.equipment e ON e.id = w.equipment_id AND e.tenant_id = (SELECT servitize.current_tenant())
  LEFT JOIN servitize.equipment_type t ON t.key = e.type_key
 CROSS JOIN LATERAL (
       SELECT max(l.ts) AS upto FROM servitize.latest_visible l WHERE l.equipment_id = e.id) seen
 CROSS JOIN LATERAL (
       SELECT sum(servitize.to_us(least(s.until, seen.upto)) - servitize.to_us(greatest(s.at, w.done_at)))::bigint AS us
         FROM (SELECT x.at, x.state, lead(x.at, 1, 'infinity') OVER (ORDER BY x.at) AS until
                 FROM servitize.state_change x
                WHERE x.equipment_id = e.id
                  AND x.at >= coalesce((SELECT max(y.at) FROM servitize.state_change y
                                         WHERE y.equipment_id = e.id AND y.at <= w.done_at), '-infinity')) s
        WHERE s.state IN (SELECT jsonb_array_elements_text(t.document->'running'))
          AND least(s.until, seen.upto) > greatest(s.at, w.done_at)) ran
 CROSS JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_array(a.condition, servitize.to_us(a.raised_at)) ORDER BY a.raised_at) AS alarms
         FROM servitize.alarm a
        WHERE a.equipment_id = e.id AND a.component = w.component AND a.active AND a.state <> 'suppressed_by_design'
          AND coalesce(a.failure_mode, regexp_replace(a.condition, '^.*/', ''))
              IN (SELECT w.failure_mode UNION ALL SELECT jsonb_array_elements_text(coalesce(w.plan->'modes', '[]')))) held
 WHERE w.state = 'done'
 ORDER BY w.done_at, w.id
 LIMIT 200;

-- name: judge_work(work, verdict, at, why, seen)$
SELECT servitize.judge_work(:work::bigint, :verdict::text, servitize.from_us(:at::bigint), :why::text, :seen::jsonb);

-- name: parts(after, count)
SELECT p.id, p.key, p.name, p.number, p.unit, p.price, p.currency, p.lead_days, p.minimum, p.on_hand, p.revision, p.updated_at,
       p.on_hand - coalesce((SELECT sum(r.quantity) FROM servitize.reservation r WHERE r.part_id = p.id), 0) AS available
  FROM servitize.part p
 WHERE (:after::text IS NULL OR p.key > :after)
 ORDER BY p.key LIMIT :count;

-- name: part(key)^
SELECT p.id, p.key, p.name, p.number, p.unit, p.price, p.currency, p.lead_days, p.minimum, p.on_hand, p.revision, p.updated_at,
       p.on_hand - coalesce((SELECT sum(r.quantity) FROM servitize.reservation r WHERE r.part_id = p.id), 0) AS available
  FROM servitize.part p WHERE p.key = :key;

-- name: keep_part(key, name, number, unit, price, currency, lead_days, minimum)$
SELECT servitize.keep_part(:key::text, :name::text, :number::text, :unit::text, :price::numeric, :currency::text, :lead_days::float8,
                           :minimum::numeric);

-- name: stock_movements(part, after, count)
SELECT m.id, m.at, m.recorded_at, m.kind, m.quantity, m.work_order_id, m.actor, m.note
  FROM servitize.stock_movement m JOIN servitize.part p ON p.id = m.part_id
 WHERE p.key = :part AND (:after::bigint IS NULL OR m.id < :after)
 ORDER BY m.id DESC LIMIT :count;

-- name: move_stock(key, kind, quantity, work, note, who)^
SELECT m.on_hand, m.available
  FROM servitize.move_stock(:key::text, :kind::text, :quantity::numeric, :work::bigint, :note::text, :who::text) m;

-- name: reserve_part(key, work, quantity)$
SELECT servitize.reserve_part(:key::text, :work::bigint, :quantity::numeric);

-- name: reservations(work)
SELECT p.key, p.name, r.quantity, p.unit, p.lead_days, r.work_order_id, r.at,
       greatest(0, least(r.quantity, coalesce((SELECT sum(x.quantity) FROM servitize.reservation x
                                               WHERE x.part_id = p.id AND (x.at, x.work_order_id) <= (r.at, r.work_order_id)), 0) - p.on_hand))
       AS short
  FROM servitize.reservation r JOIN servitize.part p ON p.id = r.part_id
 WHERE (:work::bigint IS NULL OR r.work_order_id = :work) AND r.quantity > 0
 ORDER BY r.work_order_id, p.key LIMIT 2000;

-- name: crews()
SELECT c.key, c.name, c.people, c.skills FROM servitize.crew c ORDER BY c.key;

-- name: keep_crew(key, name, people, skills)!
INSERT INTO servitize.crew (tenant_id, key, name, people, skills)
VALUES ((SELECT servitize.current_tenant()), :key, :name, :people, :skills::text[])
ON CONFLICT (tenant_id, key) DO UPDATE SET name = excluded.name, people = excluded.people, skills = excluded.skills;

-- name: remove_crew(key)!
DELETE FROM servitize.crew c WHERE c.key = :key;

-- name: windows(time_from, time_to)
SELECT w.id, w.equipment_id, e.key AS equipment, w.starts_at, w.ends_at, w.stands, w.note
  FROM servitize.maintenance_window w LEFT JOIN servitize.equipment e ON e.id = w.equipment_id
 WHERE w.ends_at > :time_from::timestamptz AND (:time_to::timestamptz IS NULL OR w.starts_at < :time_to)
 ORDER BY w.starts_at, w.id LIMIT 1000;

-- name: add_window(equipment, starts_at, ends_at, stands, note)$
INSERT INTO servitize.maintenance_window (tenant_id, equipment_id, starts_at, ends_at, stands, note)
VALUES ((SELECT servitize.current_tenant()), :equipment::int, :starts_at, :ends_at, :stands, :note) RETURNING id;

-- name: remove_window(window)!
DELETE FROM servitize.maintenance_window w WHERE w.id = :window;

-- name: plannable_work()
-- What is to be given a time: not yet begun, of our own equipment.
SELECT w.id, w.equipment_id, e.key AS equipment, w.component, w.title, w.state, w.priority, servitize.to_us(w.due_at) AS due_at, w.plan,
       coalesce((SELECT max(p.lead_days) FROM servitize.reservation r JOIN servitize.part p ON p.id = r.part_id
                  WHERE r.work_order_id = w.id
                    AND coalesce((SELECT sum(x.quantity) FROM servitize.reservation x
                                   WHERE x.part_id = p.id AND (x.at, x.work_order_id) <= (r.at, r.work_order_id)), 0) > p.on_hand), 0)::float8
       AS wait_days
  FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id AND e.tenant_id = (SELECT servitize.current_tenant())
 WHERE w.state IN ('planned', 'approved', 'scheduled', 'reopened')
 ORDER BY w.due_at NULLS LAST, w.id LIMIT 300;

-- name: keep_oil_sample(equipment, component, sampled_at, laboratory, reference, figures, verdict, who)$
SELECT servitize.keep_oil_sample(:equipment::int, :component::text, :sampled_at::timestamptz, :laboratory::text, :reference::text,
                                 :figures::jsonb, :verdict::jsonb, :who::text);

-- name: oil_samples(id, equipment, component, after_at, after_id, count)
SELECT s.id, s.equipment_id, e.key AS equipment_key, e.name AS equipment_name, s.component, s.sampled_at, s.laboratory, s.reference,
       s.figures, s.verdict, s.actor, s.recorded_at
  FROM servitize.oil_sample s JOIN servitize.equipment e ON e.id = s.equipment_id
 WHERE (:id::bigint IS NULL OR s.id = :id) AND (:equipment::int IS NULL OR s.equipment_id = :equipment)
   AND (:component::text IS NULL OR s.component = :component)
   AND (:after_at::timestamptz IS NULL OR (s.sampled_at, s.id) < (:after_at, :after_id::bigint))
 ORDER BY s.sampled_at DESC, s.id DESC LIMIT :count;

-- name: preventive_facts(equipment)
-- Per task and component: when it was last done, and the unfinished order for it. From the closed orders; hours are counted since.
SELECT w.task, w.component, max(w.done_at) FILTER (WHERE w.state IN ('closed', 'verified', 'done')) AS done_at,
       max(w.id) FILTER (WHERE w.state NOT IN ('closed', 'cancelled', 'verified')) AS work_order_id
  FROM servitize.work_order w
 WHERE w.equipment_id = :equipment AND w.task IS NOT NULL
 GROUP BY w.task, w.component;

-- name: preventive_begin(equipment)^
SELECT coalesce(e.commissioned_at, e.registered_at) AS began, servitize.timeline_now() AS now FROM servitize.equipment e WHERE e.id = :equipment;

-- name: counter_at(equipment, point, at)$
-- The value of a counter at a moment: the last reading by then; where there is none, the first ever.
SELECT coalesce(
    (SELECT r.value FROM servitize.reading_visible r JOIN servitize.point p ON p.id = r.point_id
      WHERE p.equipment_id = :equipment AND p.key = :point AND r.ts <= :at::timestamptz ORDER BY r.ts DESC LIMIT 1),
    (SELECT r.value FROM servitize.reading_visible r JOIN servitize.point p ON p.id = r.point_id
      WHERE p.equipment_id = :equipment AND p.key = :point ORDER BY r.ts LIMIT 1));

-- name: latest_of(equipment, point)^
SELECT l.value, l.ts FROM servitize.latest_visible l JOIN servitize.point p ON p.id = l.point_id
 WHERE p.equipment_id = :equipment AND p.key = :point;

-- name: running_time(equipment, since, upto)$
-- µs in running states of its type.
SELECT coalesce(sum(servitize.to_us(least(s.until, :upto::timestamptz)) - servitize.to_us(greatest(s.at, :since::timestamptz))), 0)::bigint
  FROM (SELECT x.at, x.state, lead(x.at, 1, 'infinity') OVER (ORDER BY x.at) AS until FROM servitize.state_change x
         WHERE x.equipment_id = :equipment) s
 WHERE s.state IN (SELECT jsonb_array_elements_text(t.document->'running')
                     FROM servitize.equipment e JOIN servitize.equipment_type t ON t.key = e.type_key WHERE e.id = :equipment)
   AND least(s.until, :upto::timestamptz) > greatest(s.at, :since::timestamptz);

-- name: own_equipment()
SELECT e.id FROM servitize.equipment e
 WHERE e.tenant_id = (SELECT servitize.current_tenant()) AND e.status = 'approved' ORDER BY e.id;

-- name: equipment_reference(equipment)^
SELECT e.id, e.key, e.name FROM servitize.equipment e WHERE e.id = :equipment;

-- name: tenants_with_machines()
SELECT t.id FROM servitize.tenants_with_upkeep() t (id);

-- name: prognosis_of(equipment, component)^
-- What the champion last foretold of a component, else of the whole machine, as calendar time from then.
SELECT servitize.to_us(r.at) AS at, servitize.to_us(r.date_p10) - servitize.to_us(r.at) AS p10,
       servitize.to_us(r.date_p50) - servitize.to_us(r.at) AS p50, servitize.to_us(r.date_p90) - servitize.to_us(r.at) AS p90
  FROM servitize.remaining_life r
 WHERE r.equipment_id = :equipment AND r.component IN (:component, '') AND r.date_p10 IS NOT NULL AND r.date_p90 IS NOT NULL
 ORDER BY r.component = '', r.date_p10
 LIMIT 1;
