//! What happens in the shop: every operation as a list of steps. All else (spans, logs, edges, what a
//! fault touches) follows from these tables.

use crate::shop::{
    CARTS, FRAUD_CHECK, MAIL_QUEUE, MAIL_RELAY, ORDER_TOPIC, ORDERS_DB, PAYMENTS_DB, PRODUCTS_DB, Queue,
    RECOMMENDATION_CACHE, SEARCH_INDEX, STOCK_DB, Store, Svc, TAX_DB, ThirdParty,
};

/// Something a service does when it is called.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The service.
    pub(crate) service: Svc,
    /// `GET /products/{id}`, `shop.Cart/GetCart`, the name of a job or of a message's handler.
    pub(crate) name: &'static str,
    /// How it is called.
    pub(crate) protocol: Protocol,
    /// File, function and first line of its code: logs and exceptions say where they were written.
    pub(crate) code: (&'static str, &'static str, u32),
    /// What it does.
    pub(crate) steps: &'static [Step],
}

/// How an operation is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
    Message,
    Job,
}

/// One step of an operation.
#[derive(Debug)]
pub(crate) enum Step {
    /// Computes: the median in milliseconds.
    Work(f64),
    /// Writes a log.
    Log(Level, &'static str),
    /// Calls another service, with a probability.
    Call(&'static Operation, f64, OnFailure),
    /// Asks a database: statement, table, median in milliseconds.
    Query(&'static Store, &'static str, &'static str, f64),
    /// Asks a database so many times.
    Repeat(u32, &'static Step),
    /// Asks a cache, with a probability of a hit; on a miss, takes the steps and fills it.
    Cached(&'static Store, f64, &'static [Step]),
    /// Asks somebody outside: route, median in milliseconds.
    Ask(&'static ThirdParty, &'static str, f64),
    /// Sends a message.
    Publish(&'static Queue),
    /// Steps whose exceptions are swallowed; they end with the log of their success.
    Try(&'static [Step]),
}

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Detail,
    Info,
    Warn,
    Error,
}

/// What a caller does when its call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Fails, too.
    Fail,
    /// Warns and goes on without.
    Degrade,
}

use Level::{Detail, Info, Warn};
use OnFailure::{Degrade, Fail};
use Protocol::{Grpc, Http, Job, Message};
use Step::{Ask, Cached, Call, Log, Publish, Query, Repeat, Try, Work};

/// The visits, with their weights.
pub(crate) static VISITS: [(&Operation, u32); 7] = [
    (&HOME, 20),
    (&PRODUCT_PAGE, 28),
    (&SEARCH_PAGE, 16),
    (&ADD_TO_CART, 14),
    (&CART_PAGE, 8),
    (&CHECKOUT_PAGE, 11),
    (&ORDER_PAGE, 3),
];

/// Every operation, callers first.
pub(crate) static OPERATIONS: [&Operation; 26] = [
    &HOME,
    &PRODUCT_PAGE,
    &SEARCH_PAGE,
    &ADD_TO_CART,
    &CART_PAGE,
    &CHECKOUT_PAGE,
    &ORDER_PAGE,
    &LIST_PRODUCTS,
    &GET_PRODUCT,
    &RUN_SEARCH,
    &SUGGEST,
    &RECOMMEND,
    &GET_CART,
    &ADD_ITEM,
    &EMPTY_CART,
    &PLACE_ORDER,
    &CHARGE,
    &RESERVE,
    &GET_STOCK,
    &QUOTE,
    &BOOK_PARCEL,
    &TAX_RATE,
    &STORE_ORDER,
    &GET_ORDER,
    &SEND_MAIL,
    &NIGHTLY_REPORT,
];

static HOME: Operation = Operation {
    service: Svc::Frontend,
    name: "GET /",
    protocol: Http,
    code: ("src/routes/home.ts", "renderHome", 18),
    steps: &[
        Work(1.5),
        Call(&LIST_PRODUCTS, 1.0, Fail),
        Call(&RECOMMEND, 0.8, Degrade),
        Work(2.0),
        Log(Info, "rendered home for user {user}"),
    ],
};

static PRODUCT_PAGE: Operation = Operation {
    service: Svc::Frontend,
    name: "GET /products/{id}",
    protocol: Http,
    code: ("src/routes/product.ts", "renderProduct", 31),
    steps: &[
        Work(1.2),
        Call(&GET_PRODUCT, 1.0, Fail),
        Call(&GET_STOCK, 0.9, Degrade),
        Call(&RECOMMEND, 1.0, Degrade),
        Work(1.8),
        Log(Info, "rendered product {product} with {found} recommendations"),
    ],
};

static SEARCH_PAGE: Operation = Operation {
    service: Svc::Frontend,
    name: "GET /search",
    protocol: Http,
    code: ("src/routes/search.ts", "renderSearch", 22),
    steps: &[
        Work(1.0),
        Call(&SUGGEST, 0.3, Degrade),
        Call(&RUN_SEARCH, 1.0, Fail),
        Work(2.2),
        Log(Info, "search page for user {user}: {found} results"),
    ],
};

static ADD_TO_CART: Operation = Operation {
    service: Svc::Frontend,
    name: "POST /cart",
    protocol: Http,
    code: ("src/routes/cart.ts", "addToCart", 44),
    steps: &[
        Work(0.9),
        Call(&GET_PRODUCT, 1.0, Fail),
        Call(&ADD_ITEM, 1.0, Fail),
        Log(Info, "user {user} put product {product} into the cart"),
    ],
};

static CART_PAGE: Operation = Operation {
    service: Svc::Frontend,
    name: "GET /cart",
    protocol: Http,
    code: ("src/routes/cart.ts", "renderCart", 12),
    steps: &[
        Work(1.0),
        Call(&GET_CART, 1.0, Fail),
        Call(&QUOTE, 0.6, Degrade),
        Work(1.1),
        Log(Detail, "rendered cart of user {user}"),
    ],
};

static CHECKOUT_PAGE: Operation = Operation {
    service: Svc::Frontend,
    name: "POST /checkout",
    protocol: Http,
    code: ("src/routes/checkout.ts", "placeOrder", 27),
    steps: &[
        Work(1.4),
        Log(Info, "user {user} checks out"),
        Call(&PLACE_ORDER, 1.0, Fail),
        Work(1.0),
        Log(Info, "order {order} confirmed to user {user}"),
    ],
};

static ORDER_PAGE: Operation = Operation {
    service: Svc::Frontend,
    name: "GET /orders/{id}",
    protocol: Http,
    code: ("src/routes/orders.ts", "renderOrder", 15),
    steps: &[Work(0.8), Call(&GET_ORDER, 1.0, Fail), Work(1.0), Log(Detail, "rendered order {order}")],
};

static LIST_PRODUCTS: Operation = Operation {
    service: Svc::Catalog,
    name: "shop.Catalog/ListProducts",
    protocol: Grpc,
    code: ("internal/catalog/list.go", "(*Server).ListProducts", 52),
    steps: &[
        Work(0.5),
        Query(&PRODUCTS_DB, "SELECT id, name, price FROM products ORDER BY rank LIMIT $1", "products", 4.0),
        Work(0.8),
        Log(Detail, "listed {n} products"),
    ],
};

static GET_PRODUCT: Operation = Operation {
    service: Svc::Catalog,
    name: "shop.Catalog/GetProduct",
    protocol: Grpc,
    code: ("internal/catalog/get.go", "(*Server).GetProduct", 33),
    steps: &[
        Work(0.3),
        Query(&PRODUCTS_DB, "SELECT id, name, price, text FROM products WHERE id = $1", "products", 1.6),
        Log(Info, "product {product} loaded"),
    ],
};

static RUN_SEARCH: Operation = Operation {
    service: Svc::Search,
    name: "GET /api/search",
    protocol: Http,
    code: ("search/views.py", "run_search", 71),
    steps: &[
        Work(1.2),
        Query(&SEARCH_INDEX, "search products-v3", "products-v3", 14.0),
        Work(1.5),
        Log(Info, "query matched {found} products"),
    ],
};

static SUGGEST: Operation = Operation {
    service: Svc::Search,
    name: "GET /api/suggest",
    protocol: Http,
    code: ("search/suggest.py", "suggest", 19),
    steps: &[
        Work(0.6),
        Query(&SEARCH_INDEX, "completion products-v3", "products-v3", 3.0),
        Log(Detail, "{n} suggestions"),
    ],
};

static RECOMMEND: Operation = Operation {
    service: Svc::Recommendations,
    name: "GET /recommendations",
    protocol: Http,
    code: ("recommendations/service.py", "recommend", 40),
    steps: &[
        Work(0.8),
        Try(&[
            Cached(
                &RECOMMENDATION_CACHE,
                0.85,
                &[Call(&LIST_PRODUCTS, 1.0, Fail), Work(6.0), Log(Info, "model scored {n} candidates")],
            ),
            Log(Info, "ranked {n} recommendations for user {user}"),
        ]),
        Work(0.4),
    ],
};

static GET_CART: Operation = Operation {
    service: Svc::Cart,
    name: "shop.Cart/GetCart",
    protocol: Grpc,
    code: ("src/CartService/Services/CartService.cs", "GetCart", 38),
    steps: &[Work(0.3), Query(&CARTS, "HGETALL", "", 0.7), Log(Detail, "GetCartAsync called with userId={user}")],
};

static ADD_ITEM: Operation = Operation {
    service: Svc::Cart,
    name: "shop.Cart/AddItem",
    protocol: Grpc,
    code: ("src/CartService/Services/CartService.cs", "AddItem", 57),
    steps: &[
        Work(0.3),
        Query(&CARTS, "HSET", "", 0.8),
        Try(&[Query(&CARTS, "EXPIRE", "", 0.6), Log(Info, "AddItemAsync userId={user} productId={product} stored")]),
    ],
};

static EMPTY_CART: Operation = Operation {
    service: Svc::Cart,
    name: "shop.Cart/EmptyCart",
    protocol: Grpc,
    code: ("src/CartService/Services/CartService.cs", "EmptyCart", 81),
    steps: &[Work(0.2), Query(&CARTS, "DEL", "", 0.5), Log(Info, "EmptyCartAsync called with userId={user}")],
};

static PLACE_ORDER: Operation = Operation {
    service: Svc::Checkout,
    name: "POST /api/orders",
    protocol: Http,
    code: ("com/shop/checkout/OrderController.java", "com.shop.checkout.OrderController.placeOrder", 88),
    steps: &[
        Work(1.5),
        Log(Info, "placing order {order} for user {user}"),
        Call(&GET_CART, 1.0, Fail),
        Call(&RESERVE, 1.0, Fail),
        Call(&TAX_RATE, 1.0, Fail),
        Call(&QUOTE, 1.0, Fail),
        Work(1.0),
        Call(&CHARGE, 1.0, Fail),
        Log(Info, "payment for order {order} went through"),
        Call(&BOOK_PARCEL, 1.0, Fail),
        Publish(&ORDER_TOPIC),
        Publish(&MAIL_QUEUE),
        Call(&EMPTY_CART, 1.0, Degrade),
        Work(0.6),
        Log(Info, "order {order} placed"),
    ],
};

static CHARGE: Operation = Operation {
    service: Svc::Payment,
    name: "POST /charge",
    protocol: Http,
    code: ("com/shop/payment/ChargeService.java", "com.shop.payment.ChargeService.charge", 112),
    steps: &[
        Work(1.0),
        Log(Info, "charging {amount} EUR for order {order}"),
        Ask(&FRAUD_CHECK, "POST /v2/score", 38.0),
        Work(2.5),
        Query(&PAYMENTS_DB, "INSERT INTO payments (order_id, amount, state) VALUES (?, ?, ?)", "payments", 3.0),
        Try(&[
            Query(&PAYMENTS_DB, "UPDATE ledgers SET balance = balance + ? WHERE day = ?", "ledgers", 2.0),
            Log(Info, "ledger updated for order {order}"),
        ]),
        Log(Info, "charged {amount} EUR for order {order}"),
    ],
};

static RESERVE: Operation = Operation {
    service: Svc::Inventory,
    name: "shop.Inventory/Reserve",
    protocol: Grpc,
    code: ("com/shop/inventory/StockService.java", "com.shop.inventory.StockService.reserve", 64),
    steps: &[
        Work(0.6),
        Query(&STOCK_DB, "SELECT quantity FROM stock WHERE product_id = ? FOR UPDATE", "stock", 2.4),
        Query(&STOCK_DB, "UPDATE stock SET reserved = reserved + ? WHERE product_id = ?", "stock", 3.1),
        Log(Info, "reserved {n} items for order {order}"),
    ],
};

static GET_STOCK: Operation = Operation {
    service: Svc::Inventory,
    name: "shop.Inventory/GetStock",
    protocol: Grpc,
    code: ("com/shop/inventory/StockService.java", "com.shop.inventory.StockService.getStock", 39),
    steps: &[
        Work(0.3),
        Query(&STOCK_DB, "SELECT quantity FROM stock WHERE product_id = ?", "stock", 1.5),
        Log(Detail, "stock of product {product}: {n}"),
    ],
};

static QUOTE: Operation = Operation {
    service: Svc::Shipping,
    name: "shop.Shipping/Quote",
    protocol: Grpc,
    code: ("src/quote.rs", "shipping::quote::quote", 27),
    steps: &[Work(2.2), Log(Info, "quoted {amount} EUR")],
};

static BOOK_PARCEL: Operation = Operation {
    service: Svc::Shipping,
    name: "shop.Shipping/BookParcel",
    protocol: Grpc,
    code: ("src/parcel.rs", "shipping::parcel::book", 48),
    steps: &[Work(3.5), Log(Info, "parcel booked for order {order}")],
};

static TAX_RATE: Operation = Operation {
    service: Svc::Tax,
    name: "GET /tax/{country}",
    protocol: Http,
    code: ("com/shop/tax/TaxController.java", "com.shop.tax.TaxController.rate", 21),
    steps: &[
        Work(1.0),
        Query(&TAX_DB, "SELECT rate FROM tax_rates WHERE country = ?", "tax_rates", 2.0),
        Log(Info, "rate for order {order} found"),
        Log(Warn, "rate table is {n} days old"),
    ],
};

/// The consumer of [`ORDER_TOPIC`].
pub(crate) static STORE_ORDER: Operation = Operation {
    service: Svc::Orders,
    name: "store order",
    protocol: Message,
    code: ("internal/orders/consumer.go", "(*Consumer).StoreOrder", 61),
    steps: &[
        Work(0.7),
        Query(&ORDERS_DB, "INSERT INTO orders (id, user_id, total) VALUES ($1, $2, $3)", "orders", 3.2),
        Try(&[
            Query(&ORDERS_DB, "INSERT INTO order_items SELECT * FROM unnest($1)", "order_items", 4.1),
            Log(Info, "items of order {order} stored"),
        ]),
        Log(Info, "order {order} stored"),
    ],
};

static GET_ORDER: Operation = Operation {
    service: Svc::Orders,
    name: "GET /orders/{id}",
    protocol: Http,
    code: ("internal/orders/http.go", "(*Handler).GetOrder", 29),
    steps: &[
        Work(0.4),
        Query(&ORDERS_DB, "SELECT id, user_id, total FROM orders WHERE id = $1", "orders", 1.9),
        Log(Info, "order {order} read"),
    ],
};

/// The consumer of [`MAIL_QUEUE`].
pub(crate) static SEND_MAIL: Operation = Operation {
    service: Svc::Email,
    name: "send mail",
    protocol: Message,
    code: ("mailer/worker.py", "send_mail", 55),
    steps: &[Work(4.0), Ask(&MAIL_RELAY, "POST /v3/send", 65.0), Log(Info, "mail for order {order} sent")],
};

/// The nightly job.
pub(crate) static NIGHTLY_REPORT: Operation = Operation {
    service: Svc::Reporting,
    name: "nightly-report",
    protocol: Job,
    code: ("reporting/nightly.py", "run", 14),
    steps: &[
        Log(Info, "nightly report begins"),
        Repeat(
            24,
            &Query(&ORDERS_DB, "SELECT user_id, sum(total) FROM orders WHERE day = %s GROUP BY user_id", "orders", 9.0),
        ),
        Log(Info, "{n} orders read"),
        Repeat(16, &Query(&STOCK_DB, "SELECT product_id, quantity FROM stock WHERE warehouse = %s", "stock", 6.0)),
        Work(30.0),
        Query(&ORDERS_DB, "INSERT INTO reports (day, body) VALUES (%s, %s)", "reports", 5.0),
        Log(Info, "nightly report stored"),
    ],
};
