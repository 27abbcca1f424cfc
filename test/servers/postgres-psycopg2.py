"""What psycopg2 sees of a server, printed: the same directly and through a gateway."""
import datetime
import decimal
import io
import sys
import uuid

import psycopg2
import psycopg2.extras

psycopg2.extras.register_uuid()
connection = psycopg2.connect(sys.argv[1])
cursor = connection.cursor()


def show(*values):
    print(*(repr(bytes(each) if isinstance(each, memoryview) else each) for each in values))


cursor.execute("create temp table t(a int primary key, b text, c bytea, d numeric, e timestamptz, f uuid, g int[], h jsonb)")
row = (1, "text 'quoted' \\ é", b"\x00\xff", decimal.Decimal("1.50"), datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc), uuid.UUID(int=7), [1, 2, None], psycopg2.extras.Json({"k": [1]}))
cursor.execute("insert into t values (%s, %s, %s, %s, %s, %s, %s, %s)", row)
show(cursor.rowcount, cursor.statusmessage)
psycopg2.extras.execute_values(cursor, "insert into t(a, b) values %s returning a", [(each, "x" * each) for each in range(2, 40)])
show(cursor.fetchall())
cursor.execute("select a, b, c, d, e at time zone 'UTC', f, g, h from t order by a limit 3")
show([(each.name, each.type_code, each.internal_size) for each in cursor.description])
for each in cursor:
    show(*each)
connection.commit()
with connection.cursor("server side") as named:
    named.itersize = 7
    named.execute("select a from t order by a")
    show([each[0] for each in named])
try:
    cursor.execute("insert into t(a) values (1)")
except psycopg2.Error as error:
    show(error.pgcode, error.diag.constraint_name, str(error))
connection.rollback()
out = io.StringIO()
cursor.copy_expert("copy (select a, b from t where a < 4 order by a) to stdout with csv header", out)
show(out.getvalue())
cursor.copy_from(io.StringIO("100\tcopied\n101\t\\N\n"), "t", columns=("a", "b"))
cursor.execute("select a, b from t where a >= 100 order by a")
show(cursor.fetchall())
cursor.execute("do $$ begin raise notice 'noticed'; end $$")
show(connection.notices)
connection.commit()
connection.autocommit = True
cursor.execute("listen news")
cursor.execute("notify news, 'payload'")
connection.poll()
show([(each.channel, each.payload) for each in connection.notifies])
show(connection.info.server_version, connection.encoding, connection.get_transaction_status())
