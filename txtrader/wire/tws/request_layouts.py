"""Every request: what a client sends, by message id."""

from __future__ import annotations

from txtrader.wire.tws.layout import CountedOptions, Flagged, Many, Node, Scalars, When, equals, parts
from txtrader.wire.tws.order_layouts import CONTRACT_11, CONTRACT_12, DELTA_NEUTRAL, LEGS, PLACE_ORDER

__all__ = ["FIRST_VERSION", "REQUEST_LAYOUTS"]

_BAG = When(equals("secType", "BAG"), parts(Many("comboLegs", LEGS)))
_ID = parts("reqId:i")
_CANCEL = parts("#1 reqId:i")
_NOTHING = parts("#1")
_CALCULATE_TAIL = "underPrice:d"

REQUEST_LAYOUTS: dict[tuple[int, str], tuple[Node, ...]] = {
    (1, "reqMktData"): parts(
        "#11 reqId:i",
        CONTRACT_12,
        _BAG,
        Flagged("deltaNeutralContract", DELTA_NEUTRAL),
        "genericTickList:s snapshot:b regulatorySnapshot:b mktDataOptions:s",
    ),
    (2, "cancelMktData"): parts("#2 reqId:i"),
    (3, "placeOrder"): PLACE_ORDER,
    (4, "cancelOrder"): parts(
        "#1<192 orderId:i manualOrderCancelTime:s>=169 extOperator:s>=187<190 externalUserId:s>=187<190"
        " manualOrderIndicator:i>=187<190 extOperator:s>=192 manualOrderIndicator:i>=192"
    ),
    (5, "reqOpenOrders"): _NOTHING,
    (6, "reqAccountUpdates"): parts("#2 subscribe:b acctCode:s"),
    (7, "reqExecutions"): parts(
        "#3 reqId:i clientId:i acctCode:s time:s symbol:s secType:s exchange:s side:s lastNDays:i>=200",
        Scalars("specificDates", "s", since=200),
    ),
    (8, "reqIds"): parts("#1 numIds:i"),
    (9, "reqContractDetails"): parts("#8 reqId:i", CONTRACT_12, "includeExpired:b secIdType:s secId:s issuerId:s>=176"),
    (10, "reqMktDepth"): parts("#5 reqId:i", CONTRACT_12, "numRows:i isSmartDepth:b mktDepthOptions:s"),
    (11, "cancelMktDepth"): parts("#1 reqId:i isSmartDepth:b"),
    (12, "reqNewsBulletins"): parts("#1 allMsgs:b"),
    (13, "cancelNewsBulletins"): _NOTHING,
    (14, "setServerLogLevel"): parts("#1 logLevel:i"),
    (15, "reqAutoOpenOrders"): parts("#1 bAutoBind:b"),
    (16, "reqAllOpenOrders"): _NOTHING,
    (17, "reqManagedAccts"): _NOTHING,
    (18, "requestFA"): parts("#1 faData:i"),
    (19, "replaceFA"): parts("#1 faData:i cxml:s reqId:i>=157"),
    (20, "reqHistoricalData"): parts(
        "reqId:i",
        CONTRACT_12,
        "includeExpired:b endDateTime:s barSizeSetting:s durationStr:s useRTH:b whatToShow:s formatDate:i",
        _BAG,
        "keepUpToDate:b chartOptions:s",
    ),
    (21, "exerciseOptions"): parts(
        "#2 reqId:i",
        CONTRACT_11,
        "exerciseAction:i exerciseQuantity:i account:s override:i manualOrderTime:s>=180 customerAccount:s>=183"
        " professionalCustomer:b>=184",
    ),
    (22, "reqScannerSubscription"): parts(
        "reqId:i numberOfRows:i instrument:s locationCode:s scanCode:s abovePrice:d belowPrice:d aboveVolume:i"
        " marketCapAbove:d marketCapBelow:d moodyRatingAbove:s moodyRatingBelow:s spRatingAbove:s spRatingBelow:s"
        " maturityDateAbove:s maturityDateBelow:s couponRateAbove:d couponRateBelow:d excludeConvertible:b"
        " averageOptionVolumeAbove:i scannerSettingPairs:s stockTypeFilter:s"
        " scannerSubscriptionFilterOptions:s scannerSubscriptionOptions:s"
    ),
    (23, "cancelScannerSubscription"): _CANCEL,
    (24, "reqScannerParameters"): _NOTHING,
    (25, "cancelHistoricalData"): _CANCEL,
    (49, "reqCurrentTime"): _NOTHING,
    (50, "reqRealTimeBars"): parts("#3 reqId:i", CONTRACT_12, "barSize:i whatToShow:s useRTH:b realTimeBarsOptions:s"),
    (51, "cancelRealTimeBars"): _CANCEL,
    (52, "reqFundamentalData"): parts(
        "#2 reqId:i conId:i symbol:s secType:s exchange:s primaryExchange:s currency:s localSymbol:s reportType:s",
        CountedOptions("fundamentalDataOptions"),
    ),
    (53, "cancelFundamentalData"): _CANCEL,
    (54, "calculateImpliedVolatility"): parts(
        "#3 reqId:i", CONTRACT_12, "optionPrice:d", _CALCULATE_TAIL, CountedOptions("implVolOptions")
    ),
    (55, "calculateOptionPrice"): parts(
        "#3 reqId:i", CONTRACT_12, "volatility:d", _CALCULATE_TAIL, CountedOptions("optPrcOptions")
    ),
    (56, "cancelCalculateImpliedVolatility"): _CANCEL,
    (57, "cancelCalculateOptionPrice"): _CANCEL,
    (58, "reqGlobalCancel"): parts("#1<192 extOperator:s>=192 manualOrderIndicator:i>=192"),
    (59, "reqMarketDataType"): parts("#1 marketDataType:i"),
    (61, "reqPositions"): _NOTHING,
    (62, "reqAccountSummary"): parts("#1 reqId:i groupName:s tags:s"),
    (63, "cancelAccountSummary"): _CANCEL,
    (64, "cancelPositions"): _NOTHING,
    (65, "verifyRequest"): parts("#1 apiName:s apiVersion:s"),
    (66, "verifyMessage"): parts("#1 apiData:s"),
    (67, "queryDisplayGroups"): _CANCEL,
    (68, "subscribeToGroupEvents"): parts("#1 reqId:i groupId:i"),
    (69, "updateDisplayGroup"): parts("#1 reqId:i contractInfo:s"),
    (70, "unsubscribeFromGroupEvents"): _CANCEL,
    (71, "startApi"): parts("#2 clientId:i optionalCapabilities:s"),
    (72, "verifyAndAuthRequest"): parts("#1 apiName:s apiVersion:s opaqueIsvKey:s"),
    (73, "verifyAndAuthMessage"): parts("#1 apiData:s xyzResponse:s"),
    (74, "reqPositionsMulti"): parts("#1 reqId:i account:s modelCode:s"),
    (75, "cancelPositionsMulti"): _CANCEL,
    (76, "reqAccountUpdatesMulti"): parts("#1 reqId:i account:s modelCode:s ledgerAndNLV:b"),
    (77, "cancelAccountUpdatesMulti"): _CANCEL,
    (78, "reqSecDefOptParams"): parts(
        "reqId:i underlyingSymbol:s futFopExchange:s underlyingSecType:s underlyingConId:i"
    ),
    (79, "reqSoftDollarTiers"): _ID,
    (80, "reqFamilyCodes"): (),
    (81, "reqMatchingSymbols"): parts("reqId:i pattern:s"),
    (82, "reqMktDepthExchanges"): (),
    (83, "reqSmartComponents"): parts("reqId:i bboExchange:s"),
    (84, "reqNewsArticle"): parts("reqId:i providerCode:s articleId:s newsArticleOptions:s"),
    (85, "reqNewsProviders"): (),
    (86, "reqHistoricalNews"): parts(
        "reqId:i conId:i providerCodes:s startDateTime:s endDateTime:s totalResults:i historicalNewsOptions:s"
    ),
    (87, "reqHeadTimeStamp"): parts("reqId:i", CONTRACT_12, "includeExpired:b useRTH:b whatToShow:s formatDate:i"),
    (88, "reqHistogramData"): parts("reqId:i", CONTRACT_12, "includeExpired:b useRTH:b timePeriod:s"),
    (89, "cancelHistogramData"): _ID,
    (90, "cancelHeadTimeStamp"): _ID,
    (91, "reqMarketRule"): parts("marketRuleId:i"),
    (92, "reqPnL"): parts("reqId:i account:s modelCode:s"),
    (93, "cancelPnL"): _ID,
    (94, "reqPnLSingle"): parts("reqId:i account:s modelCode:s conId:i"),
    (95, "cancelPnLSingle"): _ID,
    (96, "reqHistoricalTicks"): parts(
        "reqId:i",
        CONTRACT_12,
        "includeExpired:b startDateTime:s endDateTime:s numberOfTicks:i whatToShow:s useRth:b ignoreSize:b"
        " miscOptions:s",
    ),
    (97, "reqTickByTickData"): parts("reqId:i", CONTRACT_12, "tickType:s numberOfTicks:i ignoreSize:b"),
    (98, "cancelTickByTickData"): _ID,
    (99, "reqCompletedOrders"): parts("apiOnly:b"),
    (100, "reqWshMetaData"): _ID,
    (101, "cancelWshMetaData"): _ID,
    (102, "reqWshEventData"): parts(
        "reqId:i conId:i filter:s>=171 fillWatchlist:b>=171 fillPortfolio:b>=171 fillCompetitors:b>=171"
        " startDate:s>=173 endDate:s>=173 totalLimit:i>=173"
    ),
    (103, "cancelWshEventData"): _ID,
    (104, "reqUserInfo"): _ID,
    (105, "reqCurrentTimeInMillis"): (),
}

FIRST_VERSION: dict[str, int] = {
    "reqWshMetaData": 161,
    "cancelWshMetaData": 161,
    "reqWshEventData": 161,
    "cancelWshEventData": 161,
    "reqUserInfo": 167,
    "reqCurrentTimeInMillis": 197,
}
"""The first server version that has a request, where it is not older than everything spoken here."""
