// What the JDBC driver sends, asked of a model `shop`; see run.sh.
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.UUID;

public class JdbcDriver {
    static final String SIMILAR = "SELECT item_id FROM embsql.similar_items(?, ?, ?)";
    static final String SCORE = "SELECT embsql.score(?, ?, ?)";
    static final String CANDIDATES =
        "SELECT item_id FROM embsql.recommend(?, ?, candidates => ?, exclude_seen => FALSE)";
    static final String NEAREST = "SELECT item_id FROM embsql.nearest_items(?, ?, k => ?)";
    static final String FOLD = "SELECT embsql.fold_in(?, ?, ?)";
    static int answered = 0, asked = 0, failed = 0;

    static void ask(Connection connection, String label, String sql, Object... values) {
        asked++;
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int n = 0; n < values.length; n++) statement.setObject(n + 1, values[n]);
            try (ResultSet rows = statement.executeQuery()) {
                if (!rows.next()) throw new IllegalStateException("no rows");
            }
            answered++;
        } catch (Exception error) {
            System.out.println("    " + label + ": " + error.getMessage().split("\n")[0]);
        }
    }

    public static void main(String[] words) throws Exception {
        for (String mode : new String[] {"", "stringtype=unspecified", "preferQueryMode=simple"}) {
            answered = asked = 0;
            String address = words[0] + (words[0].contains("?") ? "&" : "?") + mode;
            try (Connection c = DriverManager.getConnection(address, "postgres", "")) {
                String vector = "[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]";
                Double[] floats = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8};
                Float[] singles = {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f};
                ask(c, "id: Integer", SIMILAR, "shop", 42, 3);
                ask(c, "id: Long", SIMILAR, "shop", 42L, 3L);
                ask(c, "id: String", SIMILAR, "shop", "42", 3);
                ask(c, "id: BigDecimal", SIMILAR, "shop", new BigDecimal(42), new BigDecimal(3));
                ask(c, "id: UUID", SCORE, "shop", new UUID(0, 7), "42");
                ask(c, "two ids", SCORE, "shop", 1, 42L);
                ask(c, "k: all", SIMILAR, "shop", 42, Long.MAX_VALUE);
                ask(c, "list: Integer", CANDIDATES, "shop", "u1", c.createArrayOf("int4", new Integer[] {1, 2, 42}));
                ask(c, "list: String", CANDIDATES, "shop", 1, c.createArrayOf("varchar", new String[] {"1", "42"}));
                ask(c, "list: UUID", CANDIDATES, "shop", 1,
                    c.createArrayOf("text", new String[] {new UUID(0, 7).toString(), "1"}));
                ask(c, "weights", FOLD, "shop", c.createArrayOf("int8", new Long[] {1L, 2L}),
                    c.createArrayOf("float8", new Double[] {1.0, 0.5}));
                ask(c, "vector: String", NEAREST, "shop", vector, 3);
                ask(c, "vector: double[]", NEAREST, "shop", c.createArrayOf("float8", floats), 3);
                ask(c, "vector: float[]", NEAREST, "shop", c.createArrayOf("float4", singles), 3);
                org.postgresql.util.PGobject object = new org.postgresql.util.PGobject();
                object.setType("vector");
                object.setValue(vector);
                ask(c, "vector: PGobject", NEAREST, "shop", object, 3);
            }
            System.out.printf("%-28s %d of %d answer%n", "JDBC " + mode, answered, asked);
            failed += asked - answered;
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
