"""Every response: what the server sends, by message id."""

from __future__ import annotations

from txtrader.wire.tws.layout import Choice, Literal, Many, Node, Scalars, Span, When, equals, parts
from txtrader.wire.tws.order_layouts import COMPLETED_ORDER, CONTRACT_11, OPEN_ORDER

__all__ = ["RESPONSE_LAYOUTS"]

_END = parts("#1 reqId:i")
_ID = parts("reqId:i")
_VERSION = parts("#1")
_SEC_IDS = Many("secIdList", parts("tag:s value:s"))
_SIZES = "minSize:d>=164 sizeIncrement:d>=164 suggestedSizeIncrement:d>=164"

_CONTRACT_DETAILS = parts(
    "#8<164 reqId:i symbol:s secType:s lastTradeDateOrContractMonth:s lastTradeDate:s>=182 strike:d right:s exchange:s"
    " currency:s localSymbol:s marketName:s tradingClass:s conId:i minTick:d mdSizeMultiplier:i<164 multiplier:s"
    " orderTypes:s validExchanges:s priceMagnifier:i underConId:i longName:t primaryExchange:s contractMonth:s"
    " industry:s category:s subcategory:s timeZoneId:s tradingHours:s liquidHours:s evRule:s evMultiplier:i",
    _SEC_IDS,
    "aggGroup:i underSymbol:s underSecType:s marketRuleIds:s realExpirationDate:s stockType:s>=152"
    " sizeMinTick:d>=163<164",
    _SIZES,
    Span(
        parts(
            When(
                equals("secType", "FUND"),
                parts(
                    "fundName:s fundFamily:s fundType:s fundFrontLoad:s fundBackLoad:s fundBackLoadTimeInterval:s"
                    " fundManagementFee:s fundClosed:b fundClosedForNewInvestors:b fundClosedForNewMoney:b"
                    " fundNotifyAmount:s fundMinimumInitialPurchase:s fundSubsequentMinimumPurchase:s"
                    " fundBlueSkyStates:s fundBlueSkyTerritories:s fundDistributionPolicyIndicator:s fundAssetType:s"
                ),
            )
        ),
        since=179,
    ),
    Span(parts(Many("ineligibilityReasonList", parts("id:s description:s"))), since=186),
)
_BOND_DETAILS = parts(
    "#6<164 reqId:i symbol:s secType:s cusip:s coupon:z maturity:s issueDate:s ratings:s bondType:s couponType:s"
    " convertible:b callable:b putable:b descAppend:s exchange:s currency:s marketName:s tradingClass:s conId:i"
    " minTick:d mdSizeMultiplier:i<164 orderTypes:s validExchanges:s nextOptionDate:s nextOptionType:s"
    " nextOptionPartial:b notes:s longName:t timeZoneId:s>=188 tradingHours:s>=188 liquidHours:s>=188 evRule:s"
    " evMultiplier:i",
    _SEC_IDS,
    "aggGroup:i marketRuleIds:s",
    _SIZES,
)
_LAST = "price:d size:z mask:i exchange:s specialConditions:s"

RESPONSE_LAYOUTS: dict[tuple[int, str], tuple[Node, ...]] = {
    (1, "tickPrice"): parts("#6 reqId:i tickType:i price:d size:z attrMask:i"),
    (2, "tickSize"): parts("#6 reqId:i tickType:i size:z"),
    (3, "orderStatus"): parts(
        "orderId:i status:s filled:d remaining:d avgFillPrice:d permId:i parentId:i lastFillPrice:d clientId:i"
        " whyHeld:s mktCapPrice:d"
    ),
    (4, "error"): parts("#2<194 reqId:i errorCode:i errorString:t advancedOrderRejectJson:t>=166 errorTime:i>=194"),
    (5, "openOrder"): OPEN_ORDER,
    (6, "updateAccountValue"): parts("#2 key:t val:t currency:t accountName:t"),
    (7, "updatePortfolio"): parts(
        "#8 conId:i symbol:s secType:s lastTradeDateOrContractMonth:s strike:d right:s multiplier:s primaryExchange:s"
        " currency:s localSymbol:s tradingClass:s position:d marketPrice:d marketValue:d averageCost:d"
        " unrealizedPNL:d realizedPNL:d accountName:s"
    ),
    (8, "updateAccountTime"): parts("#1 timeStamp:t"),
    (9, "nextValidId"): parts("#1 orderId:i"),
    (10, "contractDetails"): _CONTRACT_DETAILS,
    # The execution's own exchange stands beside the contract's, hence execExchange.
    (11, "execDetails"): parts(
        "reqId:i orderId:i",
        CONTRACT_11,
        "execId:s time:s acctNumber:s execExchange:s side:s shares:d price:d permId:i clientId:i liquidation:i"
        " cumQty:d avgPrice:d orderRef:s evRule:s evMultiplier:d modelCode:s lastLiquidity:i"
        " pendingPriceRevision:b>=178 submitter:s>=198",
    ),
    (12, "updateMktDepth"): parts("#1 reqId:i position:i operation:i side:i price:d size:z"),
    (13, "updateMktDepthL2"): parts(
        "#1 reqId:i position:i marketMaker:s operation:i side:i price:d size:z isSmartDepth:b"
    ),
    (14, "updateNewsBulletin"): parts("#1 msgId:i msgType:i newsMessage:t originExch:t"),
    (15, "managedAccounts"): parts("#1 accountsList:t"),
    (16, "receiveFA"): parts("#1 faData:i cxml:t"),
    (17, "historicalData"): parts(
        "reqId:i start:s<196 end:s<196",
        Many("bars", parts("date:s open:d high:d low:d close:d volume:z wap:d barCount:i")),
    ),
    (18, "bondContractDetails"): _BOND_DETAILS,
    (19, "scannerParameters"): parts("#1 xml:t"),
    (20, "scannerData"): parts(
        "#3 reqId:i",
        Many(
            "rows",
            parts(
                "rank:i conId:i symbol:s secType:s lastTradeDateOrContractMonth:s strike:d right:s exchange:s"
                " currency:s localSymbol:s marketName:s tradingClass:s distance:s benchmark:s projection:s legsStr:s"
            ),
        ),
    ),
    (21, "tickOptionComputation"): parts(
        "#6<156 reqId:i tickType:i tickAttrib:i>=156 impliedVol:p delta:q optPrice:p pvDividend:p gamma:q vega:q"
        " theta:q undPrice:p"
    ),
    (45, "tickGeneric"): parts("#6 reqId:i tickType:i value:d"),
    (46, "tickString"): parts("#6 reqId:i tickType:i value:t"),
    (47, "tickEFP"): parts(
        "#1 reqId:i tickType:i basisPoints:d formattedBasisPoints:t totalDividends:d holdDays:i"
        " futureLastTradeDate:t dividendImpact:d dividendsToLastTradeDate:d"
    ),
    (49, "currentTime"): parts("#1 time:i"),
    (50, "realtimeBar"): parts("#3 reqId:i time:i open:d high:d low:d close:d volume:z wap:d count:i"),
    (51, "fundamentalData"): parts("#1 reqId:i data:t"),
    (52, "contractDetailsEnd"): _END,
    (53, "openOrderEnd"): _VERSION,
    (54, "accountDownloadEnd"): parts("#1 accountName:t"),
    (55, "execDetailsEnd"): _END,
    (56, "deltaNeutralValidation"): parts("#1 reqId:i conId:i delta:d price:d"),
    (57, "tickSnapshotEnd"): _END,
    (58, "marketDataType"): parts("#1 reqId:i marketDataType:i"),
    (59, "commissionReport"): parts("#1 execId:s commission:m currency:s realizedPNL:m yield_:m yieldRedemptionDate:i"),
    (61, "position"): parts("#3 account:s", CONTRACT_11, "position:d avgCost:d"),
    (62, "positionEnd"): _VERSION,
    (63, "accountSummary"): parts("#1 reqId:i account:t tag:t value:t currency:t"),
    (64, "accountSummaryEnd"): _END,
    (65, "verifyMessageAPI"): parts("#1 apiData:t"),
    (66, "verifyCompleted"): parts("#1 isSuccessful:s errorText:t"),
    (67, "displayGroupList"): parts("#1 reqId:i groups:t"),
    (68, "displayGroupUpdated"): parts("#1 reqId:i contractInfo:t"),
    (69, "verifyAndAuthMessageAPI"): parts("#1 apiData:t xyzChallenge:t"),
    (70, "verifyAndAuthCompleted"): parts("#1 isSuccessful:s errorText:t"),
    (71, "positionMulti"): parts("#1 reqId:i account:s", CONTRACT_11, "pos:d avgCost:d modelCode:s"),
    (72, "positionMultiEnd"): _END,
    (73, "accountUpdateMulti"): parts("#1 reqId:i account:t modelCode:t key:t value:t currency:t"),
    (74, "accountUpdateMultiEnd"): _END,
    (75, "securityDefinitionOptionParameter"): parts(
        "reqId:i exchange:s underlyingConId:i tradingClass:s multiplier:s",
        Scalars("expirations", "s"),
        Scalars("strikes", "d"),
    ),
    (76, "securityDefinitionOptionParameterEnd"): _ID,
    (77, "softDollarTiers"): parts("reqId:i", Many("tiers", parts("name:s val:s displayName:s"))),
    (78, "familyCodes"): parts(Many("familyCodes", parts("accountID:s familyCodeStr:s"))),
    (79, "symbolSamples"): parts(
        "reqId:i",
        Many(
            "contractDescriptions",
            parts(
                "conId:i symbol:s secType:s primaryExchange:s currency:s",
                Scalars("derivativeSecTypes", "s"),
                "description:s>=176 issuerId:s>=176",
            ),
        ),
    ),
    (80, "mktDepthExchanges"): parts(
        Many(
            "depthMktDataDescriptions",
            parts("exchange:s secType:s listingExch:s serviceDataType:s aggGroup:i"),
        )
    ),
    (81, "tickReqParams"): parts("reqId:i minTick:d bboExchange:s snapshotPermissions:i"),
    (82, "smartComponents"): parts(
        "reqId:i", Many("smartComponents", parts("bitNumber:i exchange:s exchangeLetter:s"))
    ),
    (83, "newsArticle"): parts("reqId:i articleType:i articleText:s"),
    (84, "tickNews"): parts("reqId:i timeStamp:i providerCode:s articleId:s headline:s extraData:s"),
    (85, "newsProviders"): parts(Many("newsProviders", parts("code:s name:s"))),
    (86, "historicalNews"): parts("reqId:i time:s providerCode:s articleId:s headline:s"),
    (87, "historicalNewsEnd"): parts("reqId:i hasMore:b"),
    (88, "headTimestamp"): parts("reqId:i headTimestamp:s"),
    (89, "histogramData"): parts("reqId:i", Many("items", parts("price:d size:z"))),
    (90, "historicalDataUpdate"): parts("reqId:i barCount:i date:s open:d close:d high:d low:d wap:d volume:z"),
    (91, "rerouteMktDataReq"): parts("reqId:i conId:i exchange:s"),
    (92, "rerouteMktDepthReq"): parts("reqId:i conId:i exchange:s"),
    (93, "marketRule"): parts("marketRuleId:i", Many("priceIncrements", parts("lowEdge:d increment:d"))),
    (94, "pnl"): parts("reqId:i dailyPnL:m unrealizedPnL:m realizedPnL:m"),
    (95, "pnlSingle"): parts("reqId:i pos:z dailyPnL:m unrealizedPnL:m realizedPnL:m value:m"),
    (96, "historicalTicks"): parts("reqId:i", Many("ticks", parts("time:i", Literal("0"), "price:d size:z")), "done:b"),
    (97, "historicalTicksBidAsk"): parts(
        "reqId:i",
        Many("ticks", parts("time:i mask:i priceBid:d priceAsk:d sizeBid:z sizeAsk:z")),
        "done:b",
    ),
    (98, "historicalTicksLast"): parts(
        "reqId:i", Many("ticks", parts("time:i mask:i price:d size:z exchange:s specialConditions:s")), "done:b"
    ),
    (99, "tickByTick"): parts(
        "reqId:i tickType:i",
        Choice(
            "tickType",
            {
                1: parts("time:i", _LAST),
                2: parts("time:i", _LAST),
                3: parts("time:i bidPrice:d askPrice:d bidSize:z askSize:z mask:i"),
                4: parts("time:i midPoint:d"),
            },
        ),
    ),
    (100, "orderBound"): parts("permId:i clientId:i orderId:i"),
    (101, "completedOrder"): COMPLETED_ORDER,
    (102, "completedOrdersEnd"): (),
    (103, "replaceFAEnd"): parts("reqId:i text:s"),
    (104, "wshMetaData"): parts("reqId:i dataJson:s"),
    (105, "wshEventData"): parts("reqId:i dataJson:s"),
    (106, "historicalSchedule"): parts(
        "reqId:i startDateTime:s endDateTime:s timeZone:s",
        Many("sessions", parts("startDateTime:s endDateTime:s refDate:s")),
    ),
    (107, "userInfo"): parts("reqId:i whiteBrandingId:s"),
    (108, "historicalDataEnd"): parts("reqId:i start:s end:s"),
    (109, "currentTimeInMillis"): parts("time:i"),
}
