//! What acts are called, in both languages.

use crate::web::lang::Lang;

/// An act, in Korean and in English.
const ACTS: &[(&str, &str, &str)] = &[
    ("approval.approved", "승인함", "Approved"),
    (
        "approval.asked",
        "두 번째 확인을 요청",
        "Asked for a second person",
    ),
    ("approval.refused", "승인을 거절", "Refused to approve"),
    (
        "approval.withdrawn",
        "승인 요청을 거둠",
        "Withdrew a request for approval",
    ),
    (
        "audit.checked",
        "감사 로그 전체를 확인",
        "Checked the whole audit log",
    ),
    (
        "bank_templates.removed",
        "은행 파일 양식을 지움",
        "Removed a bank template",
    ),
    (
        "bank_templates.saved",
        "은행 파일 양식을 저장",
        "Saved a bank template",
    ),
    ("buyer.link", "구매자 링크를 만듦", "Made a buyer's link"),
    (
        "calendar.day_put",
        "휴일 달력에 날을 더함",
        "Put a day into the calendar",
    ),
    (
        "calendar.day_removed",
        "휴일 달력에서 날을 뺌",
        "Took a day out of the calendar",
    ),
    (
        "day.reopened",
        "정산한 날을 다시 엶",
        "Opened a settled day again",
    ),
    ("day.settled", "하루를 정산", "Settled a day"),
    (
        "dead_letter.bulk_replayed",
        "데드레터를 한꺼번에 다시 실행",
        "Replayed dead letters in bulk",
    ),
    (
        "dead_letter.given_up",
        "데드레터를 폐기",
        "Gave a dead letter up",
    ),
    (
        "dead_letter.replayed",
        "데드레터를 다시 실행",
        "Replayed a dead letter",
    ),
    ("file.taken", "파일을 내려받음", "Took a file away"),
    (
        "job.called_off",
        "대기 작업을 취소",
        "Called a waiting job off",
    ),
    ("job.run_now", "작업을 지금 실행", "Had a job run now"),
    (
        "job_kind.paused",
        "작업 종류를 멈춤",
        "Paused a kind of jobs",
    ),
    (
        "job_kind.resumed",
        "작업 종류를 다시 시작",
        "Resumed a kind of jobs",
    ),
    ("key.made", "API 키를 만듦", "Made an API key"),
    ("key.revoked", "API 키를 폐기", "Revoked an API key"),
    ("order.registered", "주문을 등록", "Registered an order"),
    ("partner.added", "파트너사를 더함", "Added a partner"),
    (
        "partner.adjusted",
        "정산 금액을 조정",
        "Booked an adjustment",
    ),
    ("partner.archived", "파트너사를 보관", "Archived a partner"),
    (
        "partner.changed",
        "파트너사 정보를 바꿈",
        "Changed a partner",
    ),
    (
        "partner.contract_agreed",
        "계약을 정함",
        "Agreed a contract",
    ),
    (
        "partner.contract_withdrawn",
        "예약한 계약을 취소",
        "Withdrew a contract",
    ),
    (
        "partner.imported",
        "파트너사 파일을 가져옴",
        "Imported partners",
    ),
    (
        "partner.recovered",
        "보관한 파트너사를 되살림",
        "Recovered a partner",
    ),
    (
        "payment.cancel_discarded",
        "실패한 취소를 폐기",
        "Gave a failed cancel up",
    ),
    (
        "payment.cancel_replayed",
        "실패한 취소를 다시 시도",
        "Tried a failed cancel again",
    ),
    (
        "payment.cancel_requested",
        "결제 취소를 요청",
        "Asked for a cancel",
    ),
    (
        "payment.released",
        "결제 보류를 풂",
        "Released a held payment",
    ),
    (
        "payout.approval_asked",
        "지급 승인을 요청",
        "Asked for a payout's approval",
    ),
    ("payout.approval_given", "지급을 승인", "Approved a payout"),
    (
        "payout.approval_refused",
        "지급 승인을 거절",
        "Refused a payout",
    ),
    (
        "payout.approval_void",
        "내용이 바뀌어 지급 승인이 무효가 됨",
        "Made a payout's approval void by a change",
    ),
    (
        "payout.approval_withdrawn",
        "지급 승인 요청을 거둠",
        "Withdrew a payout's request for approval",
    ),
    ("payout.called_off", "지급을 취소", "Called a payout off"),
    ("payout.created", "지급 묶음을 만듦", "Made a payout batch"),
    (
        "payout.decided",
        "지급 결과를 정함",
        "Said what became of payouts",
    ),
    (
        "payout.file_handed_out",
        "은행 파일을 내려받음",
        "Fetched the bank's file",
    ),
    (
        "personal.revealed",
        "가려진 개인정보를 봄",
        "Looked at personal data",
    ),
    ("settings.changed", "설정을 바꿈", "Changed a setting"),
    (
        "settlement.called_off",
        "정산 지급을 취소",
        "Called a settlement's payout off",
    ),
    (
        "settlement.completed",
        "정산을 지급 완료로 함",
        "Completed a settlement",
    ),
    (
        "settlement.failed",
        "정산을 지급 실패로 함",
        "Had a settlement's payout fail",
    ),
    ("settlement.held", "정산을 보류", "Held a settlement"),
    (
        "settlement.nothing_to_pay",
        "지급할 것 없이 정산을 마침",
        "Completed a settlement with nothing to pay",
    ),
    (
        "settlement.released",
        "정산 보류를 풂",
        "Released a settlement",
    ),
    (
        "settlement.requested_again",
        "정산을 다시 지급 대상으로 함",
        "Had a settlement paid again",
    ),
    (
        "sign_in.code_failed",
        "인증 코드를 틀림",
        "Entered a wrong code",
    ),
    ("sign_in.ended", "로그아웃", "Signed out"),
    (
        "sign_in.failed",
        "비밀번호를 틀림",
        "Entered a wrong password",
    ),
    ("sign_in.proved", "본인 확인", "Proved who they are"),
    ("sign_in.succeeded", "로그인", "Signed in"),
    ("user.added", "사람을 더함", "Added somebody"),
    ("user.disabled", "계정 사용을 중지", "Disabled an account"),
    ("user.enabled", "계정을 다시 사용", "Enabled an account"),
    (
        "user.password_changed",
        "비밀번호를 바꿈",
        "Changed the password",
    ),
    (
        "user.password_chosen",
        "링크로 비밀번호를 정함",
        "Chose a password by a link",
    ),
    (
        "user.recovery_codes_made",
        "복구 코드를 새로 만듦",
        "Made new recovery codes",
    ),
    ("user.reset", "계정을 초기화", "Reset an account"),
    ("user.role_changed", "역할을 바꿈", "Changed a role"),
    (
        "user.session_revoked",
        "한 기기에서 로그아웃",
        "Signed a device out",
    ),
    (
        "user.sessions_ended",
        "여러 기기에서 로그아웃",
        "Signed devices out",
    ),
    (
        "user.totp_added",
        "인증 앱을 더함",
        "Added an authenticator",
    ),
    (
        "user.totp_removed",
        "인증 앱을 지움",
        "Removed an authenticator",
    ),
];

/// What acts of a kind begin with, and what they are about.
const GROUPS: &[(&str, &str, &str)] = &[
    ("sign_in.", "로그인", "Signing in"),
    ("user.", "계정", "Accounts"),
    ("payment.", "결제", "Payments"),
    ("order.", "주문", "Orders"),
    ("buyer.", "구매자", "Buyers"),
    ("dead_letter.", "데드레터", "Dead letters"),
    ("approval.", "승인", "Approvals"),
    ("key.", "API 키", "API keys"),
    ("settings.", "설정", "Settings"),
    ("job.", "작업", "Jobs"),
    ("job_kind.", "작업 종류", "Kinds of jobs"),
    ("day.", "정산일", "Days"),
    ("settlement.", "정산", "Settlements"),
    ("payout.", "지급", "Payouts"),
    (
        "partner.",
        "파트너사·계약·조정",
        "Partners, contracts, adjustments",
    ),
    ("personal.", "개인정보", "Personal data"),
    ("calendar.", "달력", "The calendar"),
    ("bank_templates.", "은행 양식", "Bank templates"),
    ("file.", "파일", "Files"),
    ("audit.", "감사 로그", "The audit log"),
];

/// An act in words; one that has none is told as it is.
pub fn act(code: &str, lang: Lang) -> &str {
    let found = ACTS.binary_search_by(|(known, _, _)| known.cmp(&code));
    found.map_or(code, |at| lang.t(ACTS[at].1, ACTS[at].2))
}

/// What an act's group is called: of `payout.created` and of `payout.`.
pub fn group(prefix: &str, lang: Lang) -> &str {
    let known = GROUPS.iter().find(|(known, _, _)| *known == prefix);
    known.map_or(prefix, |(_, ko, en)| lang.t(ko, en))
}

/// The group of an act, with its dot.
pub fn group_of(act: &str) -> &str {
    act.find('.').map_or(act, |dot| &act[..=dot])
}

/// A field's name, where it has one in words.
pub fn field(name: &str, lang: Lang) -> &str {
    match name {
        "status" | "state" => lang.t("상태", "State"),
        "role" => lang.t("역할", "Role"),
        "partner" => lang.t("파트너사", "Partner"),
        "reason" | "note" => lang.t("사유", "Reason"),
        "amount" => lang.t("금액", "Amount"),
        "name" => lang.t("이름", "Name"),
        "account" => lang.t("계좌", "Account"),
        "contact" => lang.t("담당자", "Contact"),
        "terms" => lang.t("계약 조건", "Terms"),
        "kind" => lang.t("종류", "Kind"),
        "agent" => lang.t("기기", "Device"),
        "memo" => lang.t("메모", "Memo"),
        "run_at" => lang.t("실행 시각", "Runs at"),
        "rows" | "lines" => lang.t("줄 수", "Lines"),
        "from" => lang.t("시작", "From"),
        "to" => lang.t("끝", "To"),
        "day" => lang.t("날", "Day"),
        "was" => lang.t("전의 값", "What was"),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_sorted_have_words_and_a_group_with_words() {
        for pair in ACTS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} before {}", pair[0].0, pair[1].0);
        }
        for (code, _, _) in ACTS {
            assert_ne!(act(code, Lang::Ko), *code);
            assert_ne!(act(code, Lang::Ko), act(code, Lang::En));
            let prefix = group_of(code);
            assert_ne!(group(prefix, Lang::En), prefix, "{code}");
        }
        assert_eq!(act("new.thing", Lang::Ko), "new.thing");
        assert_eq!(group_of("plain"), "plain");
    }
}
