//! Stack traces, as the languages print them.

use crate::outcome::Failure;
use crate::shop::Language;
use crate::story::Operation;

/// The trace of an exception raised at `line` of an operation.
pub(crate) fn stack(language: Language, failure: &Failure, operation: &Operation, line: u32) -> String {
    let (file, function, begin) = operation.code;
    let Failure { exception, message, .. } = failure;
    let file_name = file.rsplit('/').next().unwrap_or(file);
    match language {
        Language::Java => {
            let (class, _) = function.rsplit_once('.').unwrap_or((function, ""));
            format!(
                "{exception}: {message}\n\tat {function}({file_name}:{line})\n\tat {class}.handle({file_name}:{begin})\n\tat \
                 java.base/java.lang.reflect.Method.invoke(Method.java:580)\n\tat \
                 org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1089)\n\tat \
                 java.base/java.lang.Thread.run(Thread.java:1583)"
            )
        }
        Language::Python => format!(
            "Traceback (most recent call last):\n  File \"/app/{file}\", line {begin}, in handle\n    return \
             {function}(request)\n  File \"/app/{file}\", line {line}, in {function}\n    raise error\n{exception}: {message}"
        ),
        Language::Nodejs => format!(
            "{exception}: {message}\n    at {function} (/app/{file}:{line}:17)\n    at Layer.handle \
             (/app/node_modules/express/lib/router/layer.js:95:5)\n    at process.processTicksAndRejections \
             (node:internal/process/task_queues:95:5)"
        ),
        Language::Dotnet => format!(
            "{exception}: {message}\n   at CartService.Services.CartService.{function}() in /src/{file}:line {line}\n   at \
             Grpc.Shared.Server.UnaryServerMethodInvoker`3.ResolvedInvoke()"
        ),
        Language::Go => format!(
            "goroutine 84 [running]:\nshop/{function}(0xc0003a8000)\n\t/app/{file}:{line} +0x1f4\n\
             google.golang.org/grpc.(*Server).processUnaryRPC(0xc0001c2000)\n\t/go/pkg/mod/google.golang.org/grpc/server.go:1400 +0xddd"
        ),
        Language::Rust => format!(
            "{message}\n   0: {function}\n             at ./{file}:{line}\n   1: tonic::server::grpc::Grpc<T>::unary"
        ),
    }
}
