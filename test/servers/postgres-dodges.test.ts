/** Ways round a mask, each tried on a real PostgreSQL: what is masked must not come out, whatever the way. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { missing, postgresPrograms } from './postgres-cluster.ts'
import { openStage, psql, type Stage } from './postgres-stage.ts'

const bin = await postgresPrograms()
const skip = bin === undefined ? missing : false
let stage: Stage

before(async () => {
  if (bin === undefined) return
  stage = await openStage(bin, {
    rules: [
      { name: 'masks', effect: 'allow', risks: ['read', 'write', 'delete', 'admin'], mask: ['people'] },
      { name: 'named', effect: 'allow', operations: ['FETCH'], unknown: true },
    ],
  })
  await stage.cluster.sql(
    `create view renamed as select id, name as label, upper(email) as mail from customers;
     create view deep as select label as tag, id from renamed;
     create view united as select name as x from customers union select 'none';
     create view harmless as select id, id + 1 as more from customers;
     create materialized view kept as select id, name as copy from customers;
     create table family(id int, name text) partition by list (id);
     create table family_1 partition of family for values in (1);
     create table customers_old() inherits (customers);
     insert into customers_old(id, email, name) values (700, 'user7@example.com', 'Name 7');
     create function get_name(int) returns text language sql stable as 'select name from customers where id = $1';
     create function pl_name() returns text language plpgsql as $$ declare r text; begin select name into r from public.customers limit 1; return r; end $$;
     create function dyn_name() returns text language plpgsql as $$ declare r text; begin execute 'select na' || 'me from custo' || 'mers limit 1' into r; return r; end $$;
     create function outer_name() returns text language sql as 'select pl_name()';
     create function all_of() returns setof customers language sql as 'select * from customers';
     create function frozen() returns text language sql immutable as 'select name from customers where id = 1';
     create function tells() returns int language plpgsql as $$ begin raise notice 'it is %', (select name from customers limit 1); raise exception 'it was %', (select name from customers limit 1); end $$;
     create function raises() returns trigger language plpgsql as $$ begin if new.id < 0 then raise exception 'not %', (select email from customers limit 1); end if; return new; end $$;
     create trigger raises before insert on customers for each row execute function raises();
     create function plain_sum(int, int) returns int language sql as 'select $1 + $2';
     create function told() returns trigger language plpgsql as $$ begin perform pg_notify('changes', row_to_json(new)::text); return new; end $$;
     create trigger told after insert on customers for each row execute function told();
     analyze`,
    'orders',
  )
})
after(async () => {
  if (bin !== undefined) await stage[Symbol.asyncDispose]()
})

const leak = /[uU][sS][eE][rR]\d@|\bName\b|NAME|4915100|emaN|4e616d65|^78\|?|example\.com/m

/** What is masked stays so, or the statement is refused. */
const dodges: readonly string[] = [
  'select label from renamed',
  'select mail from renamed',
  'select tag from deep',
  'select * from deep',
  "select tag || '' from deep",
  'select x from united',
  'select copy from kept',
  'select d from deep d',
  'select row_to_json(d) from deep d',
  'copy (select * from deep) to stdout',
  'copy kept to stdout',
  'copy public.customers to stdout',
  'copy customers(id, name, email) to stdout csv',
  'select name from customers_old',
  'select * from customers_old',
  'select get_name(1)',
  'select pl_name()',
  'select dyn_name()',
  'select outer_name()',
  'select * from all_of()',
  'select name from all_of()',
  'select (all_of()).name',
  'select frozen()',
  'explain verbose select frozen()',
  'select tells()',
  'select * from get_name(1)',
  'select value from customers c, jsonb_each_text(to_jsonb(c))',
  'select unnest from customers c, unnest(array[c.name])',
  'select x from customers c, unnest(array[c.name]) x',
  'select value from customers c, json_array_elements_text(json_build_array(c.name))',
  "select regexp_split_to_table from customers c, regexp_split_to_table(c.name, 'x')",
  "select x from customers c, xmltable('/r' passing xmlelement(name r, c.name) columns x text path '.')",
  'select q.v from customers c cross join lateral (values (c.name)) as q(v)',
  'select v from (values ((select name from customers limit 1))) t(v)',
  "select most_common_vals, histogram_bounds from pg_stats where tablename = 'customers'",
  "select histogram_bounds::text from pg_stats where tablename = 'customers'",
  "select stavalues1 from pg_statistic where starelid = 'customers'::regclass",
  'select s from pg_stats s',
  "select query_to_xml('select name from customers', true, true, '')",
  "select table_to_xml('customers', true, true, '')",
  "select * from ts_stat('select to_tsvector(name) from customers')",
  "select set_config('app.x', name, false) from customers limit 1; select current_setting('app.x')",
  "select pg_notify('changes', name) from customers",
  'select lo_from_bytea(0, name::bytea) from customers limit 1',
  'select name::int from customers',
  'select name::regclass from customers',
  "select (name || '\"')::int from customers",
  'select setseed(phone) from customers',
  'update customers set id = null where id = 1',
  'insert into customers(id, name) values (-5, null)',
  'select chr(phone::int) from customers',
  'select 1 / (ascii(name) - 78) from customers',
  "select to_timestamp(name, 'YYYY') from customers",
  'select name::json from customers',
  'select name::xml from customers',
  "select decode(name, 'base64') from customers",
  'update customers set id = name::int where id = 1',
  'insert into family select 1, name from customers limit 1',
  'update customers set notes = to_jsonb(name) where id = 1 returning notes',
  'insert into customers(id) values (1) on conflict (id) do update set notes = to_jsonb(customers.name) returning notes',
  'merge into family f using customers c on f.id = c.id when not matched then insert values (1, c.name)',
  'alter table customers add column free text generated always as (name) stored',
  'alter table customers rename column name to free',
  'alter table customers rename to free',
  'alter table customers set schema pg_temp',
  'alter table customers_old no inherit customers',
  'create rule r as on insert to family do also insert into family select 1, name from customers',
  'create view v as select name as free from customers',
  'create view v as select label as free from renamed',
  'create table t as select tag from deep',
  'create materialized view mv as select name as free from customers',
  'prepare p as select reverse(name) from customers; execute p',
  'begin; declare c cursor for select reverse(name) from customers; fetch all c; commit',
  'begin; declare c cursor for select * from deep; fetch 2 from c; commit',
  'select name from only customers',
  'select c.name from customers c full join customers d using (name)',
  'select name from customers c full join customers d using (name)',
  'select first_value(name) over () from customers',
  "select string_agg(name, ',' order by id) filter (where id > 0) from customers",
  'select percentile_disc(0.5) within group (order by name) from customers',
  'select mode() within group (order by name) from customers',
  'select min(name), max(email) from customers',
  'select distinct on (name) reverse(name) from customers',
  'select name from customers intersect select name from customers',
  'select array(select name from customers)',
  'select row(c.*) from customers c',
  'select (row(c.*)::customers).name from customers c',
  'select (select c) from customers c',
  'select c from (select name, email from customers) c',
  'select json_object_agg(id, name) from customers',
  "select jsonb_path_query(to_jsonb(c), '$.name') from customers c",
  "select to_jsonb(c) ->> 'name' from customers c",
  "select to_jsonb(c) #>> '{name}' from customers c",
  'select hstore from customers c, lateral (select to_json(c) as hstore) z',
  "select format('%s', name) from customers",
  "select concat_ws('-', id, name) from customers",
  "select overlay(name placing 'x' from 1 for 1) from customers",
  "select translate(name, 'Na', 'Na') from customers",
  "select regexp_matches(name, '.*') from customers",
  "select to_tsvector('simple', name) from customers",
  'select quote_literal(name), quote_ident(name) from customers',
  'select name::bytea from customers',
  'select name::varchar(4) from customers',
  'select name collate "C" from customers',
  "select nullif(name, '') from customers",
  "select greatest(name, '') from customers",
  'with recursive r(n, d) as (select name, 1 from customers union all select n, d + 1 from r where d < 2) select n from r',
  'with x as materialized (select name as n from customers) select (select n from x limit 1)',
  'select n from (select name from customers offset 0) as t(n)',
  'table customers',
  'select "name" from customers',
  'select U&"n\\0061me" from customers',
  'select NAME from CUSTOMERS',
  'select/**/name/**/as/**/x/**/from/**/customers',
  'select customers.name || $$$$ from customers',
  "select public.customers.name || E'' from public.customers",
  'select orders.public.customers.name from orders.public.customers',
  "insert into customers(id, name) values (51, 'Name 51') returning name",
  'update customers set id = id where id = 1 returning name as y',
  'delete from customers where id = 700 returning lower(name)',
]

/** What comes of a statement: rows, errors and notices, in the words that the client sees. */
async function outcome(db: pg.Client, query: pg.QueryConfig | string): Promise<string> {
  const said: string[] = []
  const note = ({ message, detail }: { message?: string | undefined; detail?: string | undefined }): void =>
    void said.push(`${message} ${detail}`)
  db.on('notice', note)
  try {
    const found = await db.query(query as string)
    for (const { rows } of Array.isArray(found) ? (found as pg.QueryResult[]) : [found])
      for (const row of rows ?? [])
        said.push(
          Object.values(row as object)
            .map(String)
            .join('|'),
        )
  } catch (error) {
    const { code = '', message, detail } = error as pg.DatabaseError
    // It was refused by the gateway or failed in the server; a mistake in the test would show here.
    assert.doesNotMatch(code, /^(?:|42601|08.*|XX000)$/, `${JSON.stringify(query)}: ${message}`)
    said.push(`${message} ${detail}`)
  }
  db.off('notice', note)
  await db.query('rollback')
  return said.join('\n')
}

async function masked(): Promise<pg.Client> {
  const db = new pg.Client({ ...stage.to('masked'), ssl: false })
  db.on('error', () => undefined)
  await db.connect()
  return db
}

const cleanUp =
  'delete from customers where id > 50; truncate family; drop table if exists t; drop rule if exists r on family'

test('P8: none of the ways round a mask leads out', { skip }, async () => {
  const db = await masked()
  for (const text of dodges) {
    if (text.startsWith('copy')) {
      const { stdout, stderr } = await psql(stage, stage.to('masked'), `${text};`)
      assert.doesNotMatch(stdout, leak, text)
      assert.match(stdout + stderr, /masked/, text)
    } else assert.doesNotMatch(await outcome(db, text), leak, text)
  }
  await db.end()
  await stage.cluster.sql(cleanUp, 'orders')
})

test('P8: the same through the extended protocol, in text and binary form', { skip }, async () => {
  const db = await masked()
  for (const text of dodges.filter(each => !/;|^copy/.test(each)))
    for (const binary of [false, true])
      assert.doesNotMatch(await outcome(db, { text, values: [], binary } as pg.QueryConfig), leak, text)
  await db.end()
  await stage.cluster.sql(cleanUp, 'orders')
})

test('P8: what has nothing to do with a masked column stays as it is', { skip }, async () => {
  for (const [text, expected] of [
    ['select id, more from harmless order by id limit 1', '1|2'],
    ['select id from deep order by id limit 1', '1'],
    ['select plain_sum(1, 2)', '3'],
    ['select count(*), count(name) from customers where id <= 5', '5|5'],
    ["select id from customers where name = 'Name 2'", '2'],
    ['select null_frac >= 0 from pg_stats limit 1', 't'],
    ['explain (costs off) select name from customers where id = 1', 'Append'],
  ] as const) {
    const ran = await psql(stage, stage.to('masked'), `${text};`)
    assert.equal(ran.stdout.split('\n')[0], expected, `${text}: ${ran.stderr}`)
  }
})

test('P8: what a trigger notifies is masked by the rules of who listens', { skip }, async () => {
  const db = new pg.Client({ ...stage.to('masked'), ssl: false })
  await db.connect()
  const told = new Promise<string>(resolve => db.on('notification', ({ payload }) => resolve(payload ?? '')))
  await db.query('listen changes')
  await stage.cluster.sql(
    `insert into customers(id, email, name, phone) values (61, 'user9@example.com', 'x', 4915100000009)`,
    'orders',
  )
  const payload = JSON.parse(await told) as { id: number; email: string; phone: string }
  assert.equal(payload.id, 61)
  assert.doesNotMatch(JSON.stringify(payload), /user9@|4915100/)
  await db.end()
})
