import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;

/** What JDBC sees of a server, printed: the same directly and through a gateway. */
public class PostgresJdbc {
  public static void main(String[] args) throws Exception {
    var properties = new Properties();
    properties.setProperty("user", args[1]);
    properties.setProperty("password", args[2]);
    properties.setProperty("prepareThreshold", "2");
    try (var connection = DriverManager.getConnection(args[0], properties)) {
      var statement = connection.createStatement();
      statement.execute("create temp table t(a int primary key, b text, c bytea, d numeric, e date, f int[])");
      try (var insert = connection.prepareStatement("insert into t values (?, ?, ?, ?, ?, ?)")) {
        for (int each = 0; each < 20; each++) {
          insert.setInt(1, each);
          insert.setString(2, "x".repeat(each));
          insert.setBytes(3, new byte[] {0, (byte) 255});
          insert.setBigDecimal(4, new java.math.BigDecimal("1.50"));
          insert.setDate(5, java.sql.Date.valueOf("2026-11-21"));
          insert.setArray(6, connection.createArrayOf("int4", new Integer[] {each, null}));
          insert.addBatch();
        }
        System.out.println(Arrays.toString(insert.executeBatch()));
      }
      try (var select = connection.prepareStatement("select * from t where a < ? order by a")) {
        for (int each = 0; each < 6; each++) {
          select.setInt(1, each);
          show(select.executeQuery());
        }
      }
      connection.setAutoCommit(false);
      try (var paged = connection.prepareStatement("select a from t order by a")) {
        paged.setFetchSize(3);
        show(paged.executeQuery());
      }
      var before = connection.setSavepoint();
      try {
        statement.executeUpdate("insert into t(a) values (1)");
      } catch (SQLException error) {
        System.out.println(error.getSQLState() + " " + error.getMessage());
      }
      connection.rollback(before);
      connection.commit();
      connection.setAutoCommit(true);
      statement.execute("select 1; select 2");
      show(statement.getResultSet());
      System.out.println(statement.getMoreResults());
      show(statement.getResultSet());
      var copy = connection.unwrap(PGConnection.class).getCopyAPI();
      System.out.println(copy.copyIn("copy t(a, b) from stdin", new StringReader("100\tcopied\n")));
      var out = new StringWriter();
      copy.copyOut("copy (select a, b from t where a > 17 order by a) to stdout", out);
      System.out.print(out);
      statement.execute("do $$ begin raise notice 'noticed'; end $$");
      System.out.println(statement.getWarnings().getMessage());
      var about = connection.getMetaData();
      System.out.println(about.getDatabaseProductVersion());
      show(about.getColumns(null, "public", "customers", null));
    }
  }

  static Object shown(Object value) {
    return value instanceof byte[] bytes ? HexFormat.of().formatHex(bytes) : value;
  }

  static void show(ResultSet rows) throws SQLException {
    var about = rows.getMetaData();
    var out = new StringBuilder();
    for (int each = 1; each <= about.getColumnCount(); each++)
      out.append(about.getColumnName(each)).append(':').append(about.getColumnTypeName(each)).append(' ');
    while (rows.next()) {
      out.append("\n ");
      for (int each = 1; each <= about.getColumnCount(); each++) out.append(' ').append(shown(rows.getObject(each)));
    }
    System.out.println(out);
  }
}
