-- name: contracts(ids, after, count)
SELECT c.id, c.key, c.title, c.currency, c.timezone, c.months, c.begins, c.ends, c.revision, c.document, c.recorded_at,
       c.tenant_id = (SELECT servitize.current_tenant()) AS provides, m.machines,
       (SELECT max(s.period) FROM servitize.statement s WHERE s.contract_id = c.id AND s.number = 0) AS closed_to
  FROM servitize.contract c
  LEFT JOIN LATERAL (
       SELECT coalesce(jsonb_object_agg(x.key, x.equipment_id), '{}') AS machines FROM servitize.contract_machine x WHERE x.contract_id = c.id) m
    ON true
 WHERE (:ids::int[] IS NULL OR c.id = ANY (:ids)) AND (:after::int IS NULL OR c.id > :after)
 ORDER BY c.id
 LIMIT :count;

-- name: put_contract(contract, document, machines, customer, expected, who)$
SELECT servitize.put_contract(:contract::int, :document::jsonb, :machines::text[], :customer::text, :expected::int, :who::text);

-- name: contract_revision(contract, revision)$
SELECT r.document FROM servitize.contract_revision r WHERE r.contract_id = :contract AND r.revision = :revision;

-- name: contract_records(contract, id, kind, withdrawn, low, high, after, count)
SELECT r.id, r.kind, e.key AS equipment_key, m.key AS equipment, r.starts_at, r.ends_at, r.responded_at, r.cause, r.reference, r.recorded_at,
       r.recorded_by, r.withdrawn_at, r.contract_id
  FROM servitize.contract_record r
  LEFT JOIN servitize.contract_machine m ON m.contract_id = r.contract_id AND m.equipment_id = r.equipment_id
  LEFT JOIN servitize.equipment e ON e.id = r.equipment_id
 WHERE (:contract::int IS NULL OR r.contract_id = :contract)
   AND (:id::bigint IS NULL OR r.id = :id)
   AND (:kind::text IS NULL OR r.kind = :kind)
   AND (:withdrawn::boolean IS NULL OR (r.withdrawn_at IS NOT NULL) = :withdrawn)
   AND (:low::timestamptz IS NULL OR coalesce(r.ends_at, 'infinity') > :low)
   AND (:high::timestamptz IS NULL OR r.starts_at < :high)
   AND (:after::bigint IS NULL OR r.id > :after)
 ORDER BY r.id
 LIMIT :count;

-- name: put_contract_record(contract, machine, kind, low, high, responded, why, named, who)$
SELECT servitize.put_contract_record(:contract::int, :machine::text, :kind::text, :low::timestamptz, :high::timestamptz,
                                     :responded::timestamptz, :why::text, :named::text, :who::text);

-- name: change_contract_record(record, high, responded, withdraw, who)^
SELECT servitize.change_contract_record(:record::bigint, :high::timestamptz, :responded::timestamptz, :withdraw::boolean, :who::text);

-- name: statements(contract, id, period, after, count)
-- Newest first.
SELECT s.id, s.contract_id, c.key AS contract, s.period, s.number, s.period_from, s.period_to, s.revision, s.currency, s.total, s.sha256,
       s.known_until, s.reason, s.closed_at, s.closed_by
  FROM servitize.statement s JOIN servitize.contract c ON c.id = s.contract_id
 WHERE (:contract::int IS NULL OR s.contract_id = :contract)
   AND (:id::bigint IS NULL OR s.id = :id)
   AND (:period::text IS NULL OR s.period = :period)
   AND (:after::bigint IS NULL OR s.id < :after)
 ORDER BY s.id DESC
 LIMIT :count;

-- name: statement_document(id)$
SELECT s.document FROM servitize.statement s WHERE s.id = :id;

-- name: statement_documents(contracts, periods)
-- The statements of periods and their corrections, in order.
SELECT s.contract_id, s.id, s.number, s.document, s.known_until FROM unnest(:contracts::int[], :periods::text[]) AS w (contract, period)
  JOIN servitize.statement s ON s.contract_id = w.contract AND s.period = w.period ORDER BY s.contract_id, s.number;

-- name: close_statements(contracts, periods, numbers, lows, highs, revisions, documents, digests, totals, known, why, who)
SELECT w.contract, servitize.close_statement(w.contract, w.period, w.number, w.low, w.high, w.revision, w.document::jsonb, w.digest, w.total,
                                             w.known, :why::text, :who::text) AS statement
  FROM unnest(:contracts::int[], :periods::text[], :numbers::int[], :lows::timestamptz[], :highs::timestamptz[], :revisions::int[],
              :documents::text[], :digests::text[], :totals::numeric[], :known::timestamptz[])
       AS w (contract, period, number, low, high, revision, document, digest, total, known);

-- name: evidence_points(equipment, keys)
-- Machines and keys in pairs.
SELECT p.equipment_id, p.id, p.key, p.unit FROM unnest(:equipment::int[], :keys::text[]) AS w (equipment, key)
  JOIN servitize.point p ON p.equipment_id = w.equipment AND p.key = w.key;

-- name: evidence_readings(points, lows, highs)
-- One value per point and span, in their order: storage.packed_readings.
SELECT servitize.readings_packed(w.point, w.low, w.high) AS packed
  FROM unnest(:points::int[], :lows::timestamptz[], :highs::timestamptz[]) WITH ORDINALITY AS w (point, low, high, n) ORDER BY w.n;

-- name: evidence_states(equipment, lows, highs)
-- Per machine and span (n from 1 on) the state that held at the beginning, and every change until the end.
SELECT w.n, array_agg(servitize.to_us(s.at) ORDER BY s.at) AS ts, array_agg(s.state ORDER BY s.at) AS states
  FROM unnest(:equipment::int[], :lows::timestamptz[], :highs::timestamptz[]) WITH ORDINALITY AS w (equipment, low, high, n)
  JOIN servitize.state_change s ON s.equipment_id = w.equipment AND s.at < w.high
   AND s.at >= coalesce((SELECT max(b.at) FROM servitize.state_change b WHERE b.equipment_id = w.equipment AND b.at <= w.low), w.low)
 GROUP BY w.n;

-- name: evidence_events(equipment, kinds, lows, highs)
-- Machines, each with one kind of event and a span.
SELECT w.n, servitize.to_us(e.ts) AS ts, e.kind, encode(e.hash, 'hex') AS identity
  FROM unnest(:equipment::int[], :kinds::text[], :lows::timestamptz[], :highs::timestamptz[]) WITH ORDINALITY AS w (equipment, kind, low, high, n)
  JOIN servitize.event e ON e.equipment_id = w.equipment AND e.kind = w.kind AND e.ts >= w.low AND e.ts < w.high
 ORDER BY e.ts, e.kind, e.hash;

-- name: evidence_records(contracts, lows, highs)
-- What stands on record for contracts, each with a span.
SELECT r.contract_id, r.kind, m.key AS equipment, r.starts_at, r.ends_at, r.responded_at, r.cause, r.reference
  FROM unnest(:contracts::int[], :lows::timestamptz[], :highs::timestamptz[]) AS w (contract, low, high)
  JOIN servitize.contract_record r ON r.contract_id = w.contract AND r.withdrawn_at IS NULL AND r.starts_at < w.high
   AND coalesce(r.ends_at, 'infinity') > w.low
  LEFT JOIN servitize.contract_machine m ON m.contract_id = r.contract_id AND m.equipment_id = r.equipment_id
 ORDER BY r.id;

-- name: now_us()$
SELECT servitize.to_us(clock_timestamp());

-- name: emission_factors(carrier, after, count)
SELECT f.id, f.carrier, f.effective, f.kg_per_unit, f.unit, f.source, f.recorded_at, f.recorded_by FROM servitize.emission_factor f
 WHERE (:carrier::text IS NULL OR f.carrier = :carrier) AND (:after::int IS NULL OR f.id > :after)
 ORDER BY f.id LIMIT :count;

-- name: factors_of(carrier)
SELECT f.effective, f.kg_per_unit, f.unit, f.source FROM servitize.emission_factor f WHERE f.carrier = :carrier ORDER BY f.effective;

-- name: put_emission_factor(carrier, effective, kg_per_unit, unit, source, who)$
SELECT servitize.put_emission_factor(:carrier::text, :effective::date, :kg_per_unit::numeric, :unit::text, :source::text, :who::text);

-- name: service_indicators(low, high, within)^
-- Of the provider asking: what it has under contract, how it answered incidents opened in [low, high), and of the corrective work done then and
-- closed since how much was neither reopened nor followed by other corrective work on the component within so many days.
WITH mine AS (SELECT c.id FROM servitize.contract c WHERE c.tenant_id = (SELECT servitize.current_tenant())),
incident AS (
    SELECT r.* FROM servitize.contract_record r JOIN mine ON mine.id = r.contract_id
     WHERE r.kind = 'incident' AND r.withdrawn_at IS NULL AND r.starts_at >= :low::timestamptz AND r.starts_at < :high::timestamptz),
fixed AS (
    SELECT w.reopenings > 0 OR EXISTS (
               SELECT FROM servitize.work_order n
                WHERE n.equipment_id = w.equipment_id AND n.component = w.component AND n.kind = 'corrective' AND n.state <> 'cancelled' AND n.id <> w.id
                  AND n.created_at > w.done_at AND n.created_at <= w.done_at + make_interval(days => :within::int)) AS again
      FROM servitize.work_order w
     WHERE w.kind = 'corrective' AND w.done_at >= :low AND w.done_at < :high AND w.closed_at IS NOT NULL)
SELECT (SELECT count(*) FROM mine) AS contracts,
       (SELECT count(DISTINCT m.equipment_id) FROM servitize.contract_machine m JOIN mine ON mine.id = m.contract_id) AS machines,
       (SELECT count(*) FROM servitize.equipment e WHERE e.tenant_id = (SELECT servitize.current_tenant()) AND e.status = 'approved') AS installed,
       (SELECT count(*) FROM fixed) AS corrective_closed,
       (SELECT count(*) FROM fixed f WHERE NOT f.again) AS fixed_first_time,
       (SELECT count(*) FROM incident) AS incidents,
       (SELECT count(*) FROM incident i WHERE i.responded_at IS NULL) AS unanswered,
       (SELECT avg(extract(epoch FROM i.responded_at - i.starts_at) / 3600)::float8 FROM incident i) AS response_hours,
       (SELECT avg(extract(epoch FROM i.ends_at - i.starts_at) / 3600)::float8 FROM incident i) AS restoration_hours;

-- name: service_money(low, high)
-- Per currency, of statements whose periods ended inside (low, high].
SELECT s.currency, count(DISTINCT s.id) FILTER (WHERE s.number = 0) AS statements, count(DISTINCT s.id) FILTER (WHERE s.number > 0) AS corrections,
       sum(l.amount) AS revenue,
       coalesce(sum(l.amount) FILTER (WHERE l.part IN ('fee', 'reversal of fee')), 0) AS fixed,
       coalesce(sum(l.amount) FILTER (WHERE l.part IN ('damages', 'reversal of damages')), 0) AS damages,
       coalesce(sum(l.amount) FILTER (WHERE l.part IN ('bonus', 'reversal of bonus')), 0) AS bonus
  FROM servitize.statement s
  JOIN servitize.contract c ON c.id = s.contract_id
  JOIN servitize.statement_line l ON l.statement_id = s.id
 WHERE c.tenant_id = (SELECT servitize.current_tenant()) AND s.period_to > :low::timestamptz AND s.period_to <= :high::timestamptz
 GROUP BY s.currency ORDER BY s.currency;
