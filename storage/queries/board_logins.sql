-- Logins of boards, one per tenant; made by the owner's login. The role statements are in migrate.sql.

-- name: holder(login)$
SELECT b.tenant_id FROM servitize.board_login b WHERE b.login = :login;

-- name: let_operate(tenant_id)!
INSERT INTO servitize.platform_operator (tenant_id) VALUES (:tenant_id) ON CONFLICT DO NOTHING;

-- name: stop_operating(tenant_id)!
DELETE FROM servitize.platform_operator WHERE tenant_id = :tenant_id;

-- name: publisher_clock(tenant_id)$
SELECT t.publisher_clock FROM servitize.tenant t WHERE t.id = :tenant_id;

-- name: newest(tenant_id)$
SELECT max(l.ts)
  FROM servitize.equipment e
  JOIN servitize.point p ON p.equipment_id = e.id
  JOIN servitize.latest_reading l ON l.point_id = p.id
 WHERE e.tenant_id = :tenant_id;
