//! Every endpoint of the API in words: what it does, takes, gives, and how it says no.
//!
//! Who may call it stands in [`crate::web::access`]; a test holds the two tables against each other.

use super::words::{Asks, Gives, Op, P};

/// A page of a list.
const PAGED: [P; 2] = [
    P(
        "limit",
        "limit",
        "1~200, 없으면 20",
        "1 to 200; 20 if not given",
    ),
    AFTER,
];
const AFTER: P = P(
    "after",
    "string",
    "앞 페이지의 `next`",
    "`next` of the page before",
);
/// Lines of a statement.
const LINES: P = P(
    "limit",
    "lines",
    "명세 줄 수, 1~1000, 없으면 200",
    "how many lines, 1 to 1000; 200 if not given",
);
const DAYS: [P; 2] = [
    P(
        "from",
        "date",
        "이날부터(한국 날짜)",
        "from this day on, in Korea",
    ),
    P("to", "date", "이날까지", "up to this day, included"),
];
const DRY_RUN: P = P(
    "dry_run",
    "boolean",
    "`true`거나 값이 없으면 아무것도 쓰지 않고 결과만 알려 줍니다",
    "`true`, or no value, writes nothing and says what would be",
);
const TEMPLATE: P = P(
    "template",
    "string",
    "은행 양식 이름",
    "a bank template's name",
);

const FILE: Asks = Asks::File;

/// All of them, in the order in which they are shown.
#[rustfmt::skip]
pub const OPS: &[Op] = &[
    Op::new("POST", "/api/payment/portone", "takeMessage", "payments", "포트원 웹훅과 브라우저 콜백", "PortOne's webhook and the browser's callback")
        .asks(Asks::Json("Message"))
        .gives(&[(200, Gives::Json("MessageTaken")), (202, Gives::Json("MessageTaken"))])
        .no(&[(400, "bad-request"), (408, "too-slow"), (413, "too-large"), (422, "not-paid held another-order other-currency contradiction"), (429, "too-many-requests"), (503, "overloaded")]),
    Op::new("GET", "/api/payment/list", "listPayments", "payments", "결제 목록, 최신순", "Payments, newest first")
        .takes(&[&[
            P("status", "string", "READY PAID CANCEL_REQUESTED CANCELED PARTIAL_CANCELED CANCEL_FAILED FAILED", "READY PAID CANCEL_REQUESTED CANCELED PARTIAL_CANCELED CANCEL_FAILED FAILED"),
            P("held", "boolean", "보류된 것만", "only those that are held"),
            P("hold", "string", "보류 사유: AMOUNT_DIFFERS …", "held for this reason: AMOUNT_DIFFERS …"),
            P("unknown", "boolean", "결과를 모르는 것만", "only those whose outcome is not known"),
            P("partner", "string", "파트너사 ID", "a partner's id"),
            P("amount", "integer", "이 금액(원)", "of this amount, in won"),
            P("method", "string", "card, kakaopay, trans, vbank …", "card, kakaopay, trans, vbank …"),
            P("q", "string", "ID·상품명·구매자·메일·전화의 일부, 100자까지", "any part of an id, a product's or buyer's name, a mail or phone; 100 characters at most"),
        ], &DAYS, &PAGED])
        .gives(&[(200, Gives::Json("PaymentPage"))])
        .no(&[(400, "invalid-filter bad-request")]),
    Op::new("GET", "/api/payment/events", "followPayments", "payments", "모든 결제의 변화를 실시간으로(SSE)", "Changes of all payments as they happen (server-sent events)")
        .gives(&[(200, Gives::Events)]),
    Op::new("GET", "/api/payment/{imp_uid}", "showPayment", "payments", "결제 하나와 그동안 있었던 모든 일", "One payment with everything that happened to it")
        .gives(&[(200, Gives::Json("PaymentStory"))]).no(&[(404, "not-found")]),
    Op::new("GET", "/api/payment/{imp_uid}/status", "paymentStatus", "payments", "결제의 지금 상태만", "Only how the payment stands")
        .gives(&[(200, Gives::Json("PaymentStatus"))]).no(&[(404, "not-found")]),
    Op::new("GET", "/api/payment/{imp_uid}/events", "followPayment", "payments", "결제 하나의 변화를 실시간으로(SSE)", "Changes of one payment as they happen")
        .gives(&[(200, Gives::Events)]).no(&[(404, "not-found")]),
    Op::new("POST", "/api/payment/{imp_uid}/cancel", "cancelPayment", "payments", "전부 또는 일부를 취소", "Gives all or part back")
        .about("같은 `Idempotency-Key`로 다시 보내면 지금 상태로 답합니다.", "The same `Idempotency-Key` again is answered with how it stands now.")
        .asks(Asks::Json("CancelBody"))
        .gives(&[(200, Gives::Json("Cancelled")), (202, Gives::Json("Cancelled"))])
        .no(&[(404, "not-found"), (409, "not-cancellable cancel-in-progress cancel-dead-letter nothing-left cancel-failed"), (422, "cancel-amount cancel-reason cancel-tax-free cancel-lines refund-account invalid-id")]),
    Op::new("DELETE", "/api/payment/cancel/{imp_uid}", "cancelWholePayment", "payments", "남은 전액을 취소", "Gives all that is left back")
        .about("두 번 불러도 한 번 취소한 것과 같습니다.", "Asked twice it is a success that changes nothing.")
        .gives(&[(200, Gives::Json("Cancelled")), (202, Gives::Json("Cancelled"))])
        .no(&[(404, "not-found"), (409, "not-cancellable cancel-in-progress cancel-dead-letter cancel-failed"), (422, "invalid-id")]),
    Op::new("GET", "/api/payment/cancel/{imp_uid}", "cancelWholePaymentByGet", "payments", "남은 전액을 취소(예전 호출용)", "The same for callers of old; prefer DELETE")
        .gives(&[(200, Gives::Json("Cancelled")), (202, Gives::Json("Cancelled"))])
        .no(&[(404, "not-found"), (409, "not-cancellable cancel-in-progress cancel-dead-letter cancel-failed"), (422, "invalid-id")]),

    Op::new("POST", "/api/orders", "registerOrder", "orders", "받을 금액을 주문으로 등록", "Registers what is to be paid")
        .asks(Asks::Json("OrderBody"))
        .gives(&[(200, Gives::Json("OrderMade")), (201, Gives::Json("OrderMade"))])
        .no(&[(409, "order-taken"), (422, "invalid-order order-refused")]),
    Op::new("GET", "/api/orders/{merchant_uid}", "showOrder", "orders", "주문과 그 결제", "An order and its payments")
        .gives(&[(200, Gives::Json("OrderStory"))]).no(&[(404, "not-found"), (422, "invalid-id")]),

    Op::new("POST", "/api/buyers/links", "makeBuyerLink", "orders", "구매자가 자기 결제를 보는 링크 만들기", "Makes a link to a buyer's own payments")
        .asks(Asks::Json("LinkBody")).gives(&[(201, Gives::Json("LinkMade"))])
        .no(&[(404, "not-found"), (422, "link")]),

    Op::new("GET", "/api/partners", "listPartners", "partners", "파트너사 목록, 이름순", "Partners by name")
        .takes(&[&[
            P("q", "string", "이름·ID의 일부", "a part of a name or id"),
            P("incomplete", "boolean", "빠진 것이 있는 곳만", "only those that lack something"),
            P("archived", "boolean", "보관된 곳", "those that are archived"),
        ], &PAGED])
        .gives(&[(200, Gives::Json("PartnerPage"))]).no(&[(400, "invalid-filter bad-request")]),
    Op::new("POST", "/api/partners", "addPartner", "partners", "파트너사 추가", "Adds a partner")
        .asks(Asks::Json("PartnerBody")).gives(&[(201, Gives::Json("Listed"))])
        .no(&[(409, "partner-exists"), (422, "invalid-partner")]),
    Op::new("POST", "/api/partners/import", "importPartners", "partners", "파일의 파트너사와 계약, 전부 또는 전무", "Partners and contracts out of a file: all of it, or nothing")
        .takes(&[&[DRY_RUN]]).asks(FILE).gives(&[(200, Gives::Json("PartnersImported"))])
        .no(&[(409, "import-changed"), (422, "invalid-import")]),
    Op::new("GET", "/api/partners/{id}", "showPartner", "partners", "파트너사 하나", "One partner")
        .gives(&[(200, Gives::Json("Listed"))]).no(&[(404, "not-found")]),
    Op::new("PUT", "/api/partners/{id}", "putPartner", "partners", "파트너사를 이대로", "Puts a partner, new or known")
        .asks(Asks::Json("PartnerBody")).gives(&[(200, Gives::Json("Listed")), (201, Gives::Json("Listed"))])
        .no(&[(409, "partner-archived"), (422, "invalid-partner")]),
    Op::new("POST", "/api/partners/{id}/archive", "archivePartner", "partners", "보관", "Archives a partner")
        .gives(&[(200, Gives::Json("Listed"))]).no(&[(404, "not-found"), (409, "partner-open"), (422, "invalid-id")]),
    Op::new("POST", "/api/partners/{id}/recover", "recoverPartner", "partners", "보관 해제", "Brings a partner back")
        .gives(&[(200, Gives::Json("Listed"))]).no(&[(404, "not-found"), (422, "invalid-id")]),
    Op::new("GET", "/api/partners/{id}/account", "partnerAccount", "partners", "번 금액, 지급, 미지급, 이월", "Earned, paid, open, carried over")
        .gives(&[(200, Gives::Json("PartnerAccount"))]).no(&[(404, "not-found")]),
    Op::new("GET", "/api/partners/{id}/contracts", "listContracts", "partners", "계약 버전 전부, 최신순", "All contract versions, newest first")
        .gives(&[(200, Gives::Json("ContractPage"))]).no(&[(404, "not-found")]),
    Op::new("POST", "/api/partners/{id}/contracts", "agreeContract", "partners", "어느 날부터의 조건을 정함", "Agrees terms from a day on")
        .asks(Asks::Json("ContractBody")).gives(&[(201, Gives::Json("ContractMade"))])
        .no(&[(404, "not-found"), (409, "contract-settled contract-scheduled partner-archived"), (422, "invalid-contract invalid-id")]),
    Op::new("DELETE", "/api/contracts/{id}", "withdrawContract", "partners", "아직 정산에 쓰이지 않은 버전을 거둠", "Takes back a version that settled nothing")
        .gives(&[(204, Gives::Nothing)]).no(&[(404, "not-found"), (409, "contract-settled contract-begun")]),

    Op::new("GET", "/api/settlements", "listSettlements", "settlements", "정산 목록, 최근 날짜순", "Settlements, newest day first")
        .takes(&[&[
            P("state", "string", "REQUESTED PROCESSING COMPLETED FAILED", "REQUESTED PROCESSING COMPLETED FAILED"),
            P("held", "boolean", "보류된 것만", "only those on hold"),
            P("carried", "boolean", "이월된 것만", "only those carried over"),
            P("partner", "string", "파트너사 ID", "a partner's id"),
        ], &DAYS, &PAGED])
        .gives(&[(200, Gives::Json("SettlementPage"))]).no(&[(400, "invalid-filter bad-request")]),
    Op::new("GET", "/api/settlements/{id}", "showSettlement", "settlements", "정산 하나와 상계·지급·이력", "One settlement, with what it netted, payouts and history")
        .gives(&[(200, Gives::Json("SettlementStory"))]).no(&[(404, "not-found")]),
    Op::new("GET", "/api/settlements/{id}/lines", "listLines", "settlements", "정산 항목", "Its lines")
        .takes(&[&PAGED]).gives(&[(200, Gives::Json("LinePage"))]).no(&[(400, "invalid-filter bad-request"), (404, "not-found")]),
    Op::new("POST", "/api/settlements/{id}/hold", "holdSettlement", "settlements", "이유를 적어 보류", "Holds it, with a reason")
        .asks(Asks::Json("ReasonBody")).gives(&[(200, Gives::Json("SettlementActed"))])
        .no(&[(404, "not-found"), (409, "settlement-held settlement-not-open settlement-netted"), (422, "reason-needed")]),
    Op::new("POST", "/api/settlements/{id}/release", "releaseSettlement", "settlements", "보류 해제", "Lets it go on")
        .asks(Asks::Json("ReasonBody")).gives(&[(200, Gives::Json("SettlementActed"))])
        .no(&[(404, "not-found"), (409, "settlement-not-held"), (422, "reason-needed")]),
    Op::new("POST", "/api/settlements/{id}/retry", "retrySettlement", "settlements", "FAILED를 REQUESTED로", "FAILED back to REQUESTED")
        .asks(Asks::Json("ReasonBody")).gives(&[(200, Gives::Json("SettlementActed"))])
        .no(&[(404, "not-found"), (409, "settlement-not-failed"), (422, "reason-needed")]),
    Op::new("GET", "/api/settlements/days/{day}", "showDay", "settlements", "하루의 정산 상태", "How a day stands")
        .gives(&[(200, Gives::Json("DayView"))]).no(&[(400, "invalid-filter")]),
    Op::new("POST", "/api/settlements/days/{day}", "settleDay", "settlements", "하루를 정산", "Settles a day")
        .about("2초보다 오래 걸리면 202로 답하고 계속합니다.", "If it takes longer than two seconds the answer is 202, and it goes on.")
        .takes(&[&[DRY_RUN]]).gives(&[(200, Gives::Json("Report")), (202, Gives::Json("DayRunning"))])
        .no(&[(409, "day-not-over day-too-early day-changed"), (422, "sum-out-of-range")]),
    Op::new("POST", "/api/settlements/days/{day}/reopen", "reopenDay", "settlements", "하루를 다시 열고 새로 정산", "Opens a day again and settles it anew, or only opens it")
        .asks(Asks::Json("ReopenBody")).gives(&[(200, Gives::Json("DayReopened")), (202, Gives::Json("DayRunning"))])
        .no(&[(409, "day-not-settled day-begun day-netted day-changed settlement-held"), (422, "reason-needed sum-out-of-range")]),
    Op::new("GET", "/api/statements/{partner}", "showStatement", "settlements", "한 기간의 정산내역서", "A partner's statement of a period")
        .takes(&[&DAYS, &[LINES, AFTER]]).gives(&[(200, Gives::Json("StatementShown"))])
        .no(&[(400, "invalid-filter bad-request"), (404, "not-found"), (422, "statement-too-long")]),
    Op::new("GET", "/api/adjustments", "listAdjustments", "settlements", "손으로 한 조정, 최신순", "Corrections by hand, newest first")
        .takes(&[&[P("partner", "string", "파트너사 ID", "a partner's id")], &PAGED])
        .gives(&[(200, Gives::Json("AdjustmentPage"))]).no(&[(400, "invalid-filter bad-request")]),
    Op::new("POST", "/api/adjustments", "addAdjustment", "settlements", "조정 하나", "Books a correction")
        .about("같은 `Idempotency-Key`로 다시 보내면 200과 처음의 조정으로 답합니다.", "The same `Idempotency-Key` again is answered 200, with what it made.")
        .asks(Asks::Json("AdjustmentBody")).gives(&[(200, Gives::Json("AdjustmentKnown")), (201, Gives::Json("AdjustmentMade")), (202, Gives::Json("ApprovalStory"))])
        .no(&[(404, "not-found"), (422, "adjustment-amount reason-needed")]),
    Op::new("POST", "/api/adjustments/import", "importAdjustments", "settlements", "파일의 조정, 전부 또는 전무", "All rows of a file, or none")
        .takes(&[&[DRY_RUN]]).asks(FILE).gives(&[(200, Gives::Json("AdjustmentsImported")), (201, Gives::Json("AdjustmentsImported")), (202, Gives::Json("AdjustmentsImported"))])
        .no(&[(409, "already-imported"), (422, "invalid-import")]),

    Op::new("GET", "/api/payouts/due", "showDue", "payouts", "묶음에 들어갈 것", "What a batch would hold")
        .takes(&[&[P("until", "date", "이날까지 지급할 것", "what is due up to this day; today if not given")]])
        .gives(&[(200, Gives::Json("Due"))]).no(&[(400, "invalid-filter bad-request"), (422, "payout-out-of-range")]),
    Op::new("GET", "/api/payouts", "listBatches", "payouts", "지급 묶음, 최신순", "Batches, newest first")
        .takes(&[&PAGED]).gives(&[(200, Gives::Json("BatchPage"))]).no(&[(400, "invalid-filter bad-request")]),
    Op::new("POST", "/api/payouts", "createBatch", "payouts", "지급 묶음을 만듦", "Makes a batch")
        .asks(Asks::Json("CreateBody")).gives(&[(201, Gives::Json("BatchStory")), (202, Gives::Json("BatchStory"))])
        .no(&[(409, "nothing-to-pay payout-changed"), (422, "payout-note payout-out-of-range")]),
    Op::new("GET", "/api/payouts/{id}", "showBatch", "payouts", "묶음 하나와 지급들", "One batch with its payouts")
        .gives(&[(200, Gives::Json("BatchStory"))]).no(&[(404, "not-found")]),
    Op::new("GET", "/api/payouts/{id}/file", "bankFile", "payouts", "은행 이체 파일", "The bank's file")
        .takes(&[&[TEMPLATE]]).gives(&[(200, Gives::File)])
        .no(&[(404, "not-found"), (409, "payout-batch-closed approval-waits"), (422, "bank-file")]),
    Op::new("POST", "/api/payouts/{id}/result", "bankResult", "payouts", "은행 결과 파일을 읽음", "Reads the bank's result")
        .takes(&[&[TEMPLATE, DRY_RUN]]).asks(FILE).gives(&[(200, Gives::Json("BankResultRead"))])
        .no(&[(404, "not-found"), (409, "payout-decided approval-waits"), (422, "bank-result")]),
    Op::new("POST", "/api/payouts/{id}/payouts/{payout}", "decidePayout", "payouts", "지급 하나를 완료 또는 실패로", "Marks one transfer paid or failed")
        .asks(Asks::Json("DecideBody")).gives(&[(200, Gives::Json("PayoutDecided"))])
        .no(&[(404, "not-found"), (409, "payout-decided payout-batch-closed approval-waits"), (422, "payout-reason")]),
    Op::new("POST", "/api/payouts/{id}/call-off", "callOffBatch", "payouts", "기다리는 지급을 취소", "Calls off what waits")
        .asks(Asks::Json("CallOffBody")).gives(&[(200, Gives::Json("BatchCalledOff"))])
        .no(&[(404, "not-found"), (409, "payout-batch-closed payout-handed-out"), (422, "payout-reason")]),
    Op::new("GET", "/api/approvals", "listApprovals", "payouts", "두 번째 사람을 기다리는 것", "What waits for a second person")
        .takes(&[&[P("state", "string", "waiting decided, 없으면 waiting", "waiting decided; waiting if not given")], &PAGED])
        .gives(&[(200, Gives::Json("ApprovalPage"))]).no(&[(400, "invalid-filter bad-request")]),
    Op::new("GET", "/api/approvals/{id}", "showApproval", "payouts", "승인 요청 하나", "One of them, with all that it asks for")
        .gives(&[(200, Gives::Json("ApprovalStory"))]).no(&[(404, "not-found")]),
    Op::new("GET", "/api/calendar", "showCalendar", "payouts", "한 해의 공휴일과 은행 휴무 평일", "Holidays and weekdays off of a year")
        .takes(&[&[P("year", "year", "2020~2100, 없으면 올해", "2020 to 2100; this one if not given")]])
        .gives(&[(200, Gives::Json("CalendarYear"))]).no(&[(400, "invalid-filter bad-request")]),
    Op::new("PUT", "/api/calendar/{day}", "putDay", "payouts", "휴무일 또는 영업일로 바꿈", "A day off, or a business day after all")
        .takes(&[&[DRY_RUN]]).asks(Asks::Json("PutBody")).gives(&[(200, Gives::Json("CalendarChanged"))])
        .no(&[(422, "calendar-past calendar-name")]),
    Op::new("DELETE", "/api/calendar/{day}", "removeDay", "payouts", "추가한 날을 없앰", "Takes an added day away")
        .takes(&[&[DRY_RUN]]).gives(&[(200, Gives::Json("CalendarChanged"))])
        .no(&[(404, "not-found"), (422, "calendar-past")]),
    Op::new("GET", "/api/bank-templates", "listTemplates", "payouts", "은행 파일 양식", "Columns of banks' files")
        .gives(&[(200, Gives::Json("TemplatePage"))]),
    Op::new("GET", "/api/bank-templates/{name}", "showTemplate", "payouts", "양식 하나", "One of them")
        .gives(&[(200, Gives::Json("Known"))]).no(&[(404, "not-found")]),
    Op::new("PUT", "/api/bank-templates/{name}", "putTemplate", "payouts", "양식을 바꿈", "Changes it")
        .asks(Asks::Json("BankTemplate")).gives(&[(200, Gives::Json("Known"))]).no(&[(422, "bank-template")]),
    Op::new("DELETE", "/api/bank-templates/{name}", "removeTemplate", "payouts", "처음 양식으로, 또는 삭제", "Back to the seeded one, or away")
        .gives(&[(200, Gives::Json("TemplateRemoved"))]).no(&[(404, "not-found"), (409, "bank-template-unchanged")]),

    Op::new("GET", "/api/openapi.json", "openapi", "reference", "이 문서(OpenAPI 3.1)", "This document (OpenAPI 3.1)")
        .gives(&[(200, Gives::Document)]),
    Op::new("GET", "/api/reference", "reference", "reference", "같은 내용의 페이지", "The same as a page")
        .gives(&[(200, Gives::Page)]),
];

/// What belongs together: a name, and what it is called in Korean and English.
pub const TAGS: &[(&str, &str, &str)] = &[
    ("payments", "결제", "Payments"),
    ("orders", "주문", "Orders"),
    ("partners", "파트너사와 계약", "Partners and contracts"),
    ("settlements", "정산", "Settlements"),
    ("payouts", "지급", "Payouts"),
    ("reference", "문서", "This reference"),
];
