-- name: open_session(prefix, hash, session)$
SELECT servitize.open_board_session(:prefix, :hash, :session);

-- name: redeem_ticket(ticket, session)$
SELECT servitize.redeem_board_ticket(:ticket, :session);

-- name: session(session)^
-- What follows in the transaction sees what the key's tenant sees.
SELECT s.key_id, s.prefix, s.name, s.tenant_id, s.tenant, s.scopes, s.role, set_config('servitize.tenant', s.tenant_id::text, true) AS bound
  FROM servitize.board_session(:session) s;

-- name: close_session(session)!
SELECT servitize.close_board_session(:session);

-- name: pulse()^
-- How far the data of the tenant's equipment has come: "event" by their own time, "stored" by our clock (NULL: nothing yet), and whether the
-- tenant's timeline is that of its publisher.
SELECT (SELECT t.publisher_clock FROM servitize.tenant t WHERE t.id = (SELECT servitize.current_tenant())) AS publisher_clock,
       max(l.ts) AS event, max(l.received_at) AS stored, clock_timestamp() AS now,
       (SELECT count(*) FROM servitize.alarm a
         WHERE a.first_out IS NULL AND a.state IN ('unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged')) AS unacknowledged
  FROM servitize.latest_visible l;

-- name: make_ticket(prefix, hash, seconds)$
-- By the owner's login. NULL where the key is not there or no longer holds.
INSERT INTO servitize.board_ticket (hash, key_id, expires_at)
SELECT :hash, k.id, now() + :seconds * interval '1 second'
  FROM servitize.api_key k
 WHERE k.prefix = :prefix AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
RETURNING key_id;

-- name: machine(equipment)^
-- "learned": a model that speaks has said something of it.
SELECT e.id, e.key, e.name, ARRAY(SELECT p.key FROM servitize.point p WHERE p.equipment_id = e.id) AS points,
       EXISTS (SELECT FROM servitize.remaining_life r WHERE r.equipment_id = e.id)
       OR EXISTS (SELECT FROM servitize.model_score s WHERE s.equipment_id = e.id AND s.champion) AS learned
  FROM servitize.equipment e WHERE e.id = :equipment::int;
